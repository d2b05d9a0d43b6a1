"""The stand-in on a port: in this process, on threads of its own."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import datetime
from types import TracebackType

import uvicorn

from .api.gate import Gate
from .api.order_lists import work_job
from .api.routes import ROUTES
from .courier import Courier
from .faults import Fault
from .tenant import Tenant
from .users import PERSON, SERVICE


class ZuoraTwin:
    """A running stand-in; its clock and its faults can be set from here, or over HTTP under /twin.

        with ZuoraTwin(Tenant()) as twin:
            ...  # twin.url, twin.client_id, twin.client_secret

    Port 0 takes a free one. Raises OSError where the port is taken.
    """

    def __init__(self, tenant: Tenant, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.tenant = tenant
        self._courier = Courier(tenant, lambda doc: work_job(tenant, doc))
        config = uvicorn.Config(
            Gate(tenant, ROUTES), host=host, port=port, log_level="warning", access_log=False, ws="none"
        )
        logging.getLogger("uvicorn.error").addFilter(_not_meant)
        self._server = uvicorn.Server(config)
        # Made here with its protocol said: asyncio switches Nagle's delay (40 ms an answer) off only then.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        bound = self._socket.getsockname()
        self.url = f"http://{host}:{bound[1]}"
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="zuora", daemon=True
        )

    client_id = SERVICE.client_id
    client_secret = SERVICE.client_secret
    person = PERSON
    """Another client, whose changes are those of a person in the vendor's own UI."""

    def set_clock(self, now: datetime | None, *, frozen: bool = True) -> None:
        """The tenant's time, with a time zone; standing still where `frozen`. None: the machine's."""
        self.tenant.set_clock(now, frozen=frozen)

    def faults(self, *rules: Fault, seed: int = 0) -> None:
        """What requests and callouts meet from now on; none: nothing any more."""
        self.tenant.faults.set(list(rules), seed)

    def start(self) -> ZuoraTwin:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise OSError(f"the server of {self.url} ended at its start")
            time.sleep(0.005)
        self._courier.start()
        return self

    def stop(self) -> None:
        self._courier.stop()
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
        self.tenant.store.close()

    def __enter__(self) -> ZuoraTwin:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _not_meant(record: logging.LogRecord) -> bool:
    """Connections that a fault cuts within the answer are no error of the server's."""
    return "without completing response" not in record.getMessage()
