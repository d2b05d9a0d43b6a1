"""What the search servers share: a port, a directory, and starting, stopping and killing."""

import contextlib
import http.client
import json
import secrets
import signal
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from ._support import ServerFailed, Supervisor, free_port

# The OpenSearch runner gives up without a word on a port above 9299, and takes the next one if its own is in
# use.
_PORTS = (3000, 9297)
_SETTINGS = {
    "network.host": "127.0.0.1",
    "transport.port": "0",
    "discovery.type": "single-node",
    "cluster.routing.allocation.disk.threshold_enabled": "false",  # a full disk is not what is tested
}
LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class SearchHandle:
    """Where a running server is, whoever started it."""

    def __init__(self, port: int, snapshots: str) -> None:
        self.port = port
        self.snapshots = snapshots
        """The directory that the server allows as location of a snapshot repository (`path.repo`)."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def address(self) -> dict[str, Any]:
        """What another process needs to make a handle of its own: `SearchHandle(**address)`."""
        return {"port": self.port, "snapshots": self.snapshots}


class PortTaken(ServerFailed):
    """Another process was faster to take the port."""


class SearchServer(SearchHandle, ABC):
    """A server of one's own: may be stopped, killed and started again on its port with its data kept."""

    title: ClassVar[str]

    def __init__(self, *, settings: Mapping[str, str] | None, jvm_options: Sequence[str]) -> None:
        super().__init__(0, "")
        self._settings = _SETTINGS | dict(settings or {})
        self._jvm_options = tuple(jvm_options)
        self._cluster = f"lockstep-{secrets.token_hex(6)}"
        self._supervisor: Supervisor | None = None
        self._credentials: tuple[str, str] | None = None

    @abstractmethod
    def _get(self) -> None:
        """Gets what a start needs. Raises ServerUnavailable."""

    @abstractmethod
    def _supervise(self) -> Supervisor: ...

    @abstractmethod
    def _configure(self, home: Path) -> None:
        """Writes the configuration, once, into the server's directory."""

    @abstractmethod
    def _spawn(self, supervisor: Supervisor) -> None: ...

    @abstractmethod
    def _lost_port(self, log: str) -> bool:
        """Whether the log says that another process has the port."""

    def start(self) -> Self:
        """Start the server: for the first time empty, later with the data it has."""
        if self.pid is not None:
            return self
        if self._supervisor is not None:
            self._run(self._supervisor)
            return self
        self._get()
        self._supervisor = self._supervise()
        try:
            self.snapshots = str(self._supervisor.home / "snapshots")
            self._configure(self._supervisor.home)
            for attempt in range(3):
                self.port = free_port(*_PORTS)
                try:
                    self._run(self._supervisor)
                    break
                except PortTaken:
                    if attempt == 2:
                        raise
        except BaseException:
            self.close()
            raise
        return self

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid if self._supervisor else None

    @property
    def log(self) -> Path:
        return self._started().log

    def stop(self) -> None:
        """Shut the server down and keep its data."""
        self._started().signal(signal.SIGTERM)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        self._started().signal(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server and remove all its files."""
        if self._supervisor is None:
            return
        self.stop()
        self._supervisor.close()
        self._supervisor = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> Supervisor:
        if self._supervisor is None:
            raise ServerFailed(f"{self.title} was not started")
        return self._supervisor

    def _write_settings(self, configuration: Path, file: str) -> None:
        configuration.mkdir()
        settings = self._settings | {"path.repo": self.snapshots}
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in settings.items()]
        (configuration / file).write_text("".join(lines))
        (configuration / "log4j2.properties").write_text(LOGGING)

    def _run(self, supervisor: Supervisor) -> None:
        supervisor.log.unlink(missing_ok=True)
        self._spawn(supervisor)
        try:
            supervisor.wait_ready(self._ready, 120)
        except ServerFailed as error:
            if not isinstance(error, PortTaken) and self._lost_port(str(error)):
                raise PortTaken(str(error)) from None
            raise

    def _ready(self) -> bool:
        """It is our server that answers, and its indexes have been opened."""
        supervisor = self._started()
        if supervisor.log.exists() and self._lost_port(supervisor.log.read_text(errors="replace")):
            supervisor.signal(signal.SIGKILL)
            raise PortTaken(f"{self.title} cannot have port {self.port}: another process has taken it")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            headers = {}
            if self._credentials:
                headers["authorization"] = "Basic " + b64encode(":".join(self._credentials).encode()).decode()
            connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=30s", headers=headers)
            answer = json.loads(connection.getresponse().read())
            return bool(answer.get("cluster_name") == self._cluster)
        return False
