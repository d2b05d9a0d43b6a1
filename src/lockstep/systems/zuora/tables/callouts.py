"""Listens for a tenant's callouts: something may have changed, so it is looked at once, not at the next turn.

Nothing that a callout says is believed, nor even kept: it only makes the feed look for what was updated. So
one that is lost, doubled, late or made up changes nothing but when that look is.
"""

from __future__ import annotations

import base64
import hmac
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lockstep.errors import DeclarationError, Refused

MOST_BYTES = 16 << 10
"""Of a body: ids need no more."""

_SECONDS = 5.0
"""That a caller may take over its request."""

_AT_ONCE = 16
"""Callers that are heard at the same time; others are hung up on, and Zuora calls again."""


class Callouts:
    """Where to listen, and the name and password (HTTP basic) of the tenant's callouts.

    It speaks plain HTTP: a public address needs a TLS proxy before it. Port 0 takes any free one.
    """

    def __init__(self, host: str, port: int, *, user: str, password: str) -> None:
        if not user or not password or ":" in user:
            raise DeclarationError(
                "callouts need a user and a password",
                "Give those that the notification's callout has in Zuora.",
            )
        self.host, self.port = host, port
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._header = f"Basic {word}".encode()

    def lets_in(self, header: str | None) -> bool:
        return hmac.compare_digest((header or "").encode("utf-8", "replace"), self._header)

    def __repr__(self) -> str:
        return f"Callouts({self.host!r}, {self.port})"


class Listener:
    """Listens until it is closed. `heard` is called for each callout that is let in, on a thread of its own.
    Raises Refused where it cannot have the address."""

    def __init__(self, declared: Callouts, heard: Callable[[], None]) -> None:
        try:
            self._server = _Server((declared.host, declared.port), _handler(declared, heard))
        except OSError as error:
            raise Refused(
                f"callouts cannot be listened for at {declared.host}:{declared.port}: {error}",
                "Give Callouts a free port, and an address that this machine has.",
            ) from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.Semaphore(_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up is no news."""


def _handler(declared: Callouts, heard: Callable[[], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS
        server_version, sys_version = "Lockstep", ""

        def do_POST(self) -> None:
            if not declared.lets_in(self.headers.get("authorization")):
                self._answer(401)
                return
            length = self.headers.get("content-length", "")
            if not length.isdigit():
                self._answer(411)
            elif int(length) > MOST_BYTES:
                self._answer(413)
            else:
                self.rfile.read(int(length))
                heard()
                self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("www-authenticate", 'Basic realm="lockstep"')
            self.send_header("content-length", "0")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a callout is no news."""

    return Handler
