"""A real OpenSearch for tests, from Maven Central and run by Java: one node, no security."""

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ._support import ServerFailed, ServerUnavailable, Supervisor, cache_directory, free_port, locked

_POM = Path(__file__).with_name("opensearch.pom.xml")
_HOW_TO_GET = (
    "OpenSearch for tests needs Java 17 and, for the first start, Maven with access to Maven Central: "
    "apt-get install openjdk-17-jre-headless maven"
)
# The runner gives up without a word on a port above 9299, and takes the next one if its own is in use.
_PORTS = (3000, 9297)
# Measured: 4.4 s to the first answer with the defaults, 3.1 s with these, 1.8 s with the class archive too.
_JVM_OPTIONS = ("-Xms256m", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_ARCHIVE_OPTIONS = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")  # what did not fit is of no interest
_SETTINGS = {
    "network.host": "127.0.0.1",
    "transport.port": "0",
    "discovery.type": "single-node",
    "cluster.routing.allocation.disk.threshold_enabled": "false",  # a full disk is not what is tested
}
_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class OpenSearchHandle:
    """Where a running server is, whoever started it."""

    def __init__(self, port: int, snapshots: str) -> None:
        self.port = port
        self.snapshots = snapshots
        """The directory that the server allows as location of a snapshot repository (`path.repo`)."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def address(self) -> dict[str, Any]:
        """What another process needs to make a handle of its own: `OpenSearchHandle(**address)`."""
        return {"port": self.port, "snapshots": self.snapshots}


class OpenSearchServer(OpenSearchHandle):
    """A server of one's own: may be stopped, killed and started again on its port with its data kept."""

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, jvm_options: Sequence[str] = _JVM_OPTIONS
    ) -> None:
        """The usual `jvm_options` are those for a fast start; a measurement may want others."""
        super().__init__(0, "")
        self._settings = _SETTINGS | dict(settings or {})
        self._jvm_options = tuple(jvm_options)
        self._cluster = f"lockstep-{secrets.token_hex(6)}"
        self._supervisor: Supervisor | None = None
        self._archive: Path | None = None

    def start(self) -> Self:
        """Start the server: for the first time empty, later with the data it has."""
        if self.pid is not None:
            return self
        if self._supervisor is not None:
            self._run(self._supervisor)
            return self
        _java(), _jars()
        self._supervisor = Supervisor("OpenSearch", signal.SIGKILL)
        try:
            self._configure(self._supervisor.home)
            for attempt in range(3):
                self.port = free_port(*_PORTS)
                try:
                    self._run(self._supervisor)
                    break
                except _PortTaken:
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
        if self._archive is not None and (written := self._started().home / "classes.jsa").exists():
            shutil.copyfile(written, partial := self._archive.with_suffix(f".{os.getpid()}"))
            written.unlink()
            partial.rename(self._archive)

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
            raise ServerFailed("OpenSearch was not started")
        return self._supervisor

    def _configure(self, home: Path) -> None:
        self.snapshots = str(home / "snapshots")
        settings = self._settings | {"path.repo": self.snapshots}
        configuration = home / "config"
        configuration.mkdir()
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in settings.items()]
        (configuration / "opensearch.yml").write_text("".join(lines))
        (configuration / "log4j2.properties").write_text(_LOGGING)

    def _run(self, supervisor: Supervisor) -> None:
        java, jars, home = _java(), _jars(), supervisor.home
        command = [java, *self._jvm_options, *self._class_archive(java, jars, home), "-cp", f"{jars}/*"]
        command += ["org.codelibs.opensearch.runner.OpenSearchRunner", "-numOfNode", "1"]
        command += ["-basePath", str(home), "-confPath", str(home / "config")]
        command += ["-clusterName", self._cluster, "-baseHttpPort", str(self.port - 1)]
        supervisor.log.unlink(missing_ok=True)
        supervisor.spawn(command, os.environ)
        supervisor.wait_ready(self._ready, 120)

    def _ready(self) -> bool:
        """It is our server that answers, and its indexes have been opened."""
        supervisor = self._started()
        for line in supervisor.log.read_text(errors="replace").splitlines():
            if line.startswith("HTTP Port:") and line.split()[-1] != str(self.port):
                supervisor.signal(signal.SIGKILL)
                raise _PortTaken(f"OpenSearch cannot have port {self.port}: another process has taken it")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=30s")
            answer = json.loads(connection.getresponse().read())
            return bool(answer.get("cluster_name") == self._cluster)
        return False

    def _class_archive(self, java: str, jars: Path, home: Path) -> list[str]:
        """Make Java use its archive of prepared classes, or write one when it ends. An archive that does
        not fit (another Java, other jars) is passed over by Java itself; the name keeps such ones apart."""
        release = Path(java).parent.parent / "release"
        kind = [java, release.read_text() if release.exists() else "", *self._jvm_options]
        self._archive = jars / f"classes-{hashlib.sha256(repr(kind).encode()).hexdigest()[:12]}.jsa"
        if self._archive.exists():
            return [*_ARCHIVE_OPTIONS, f"-XX:SharedArchiveFile={self._archive}"]
        return [*_ARCHIVE_OPTIONS, f"-XX:ArchiveClassesAtExit={home}/classes.jsa"]


def fetch() -> None:
    """Gets what a start needs, if it is not there yet. Raises ServerUnavailable."""
    _java()
    _jars()


class _PortTaken(ServerFailed):
    pass


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise ServerUnavailable(_HOW_TO_GET)
    return str(Path(java).resolve())


def _jars() -> Path:
    """The directory with the server's jars, fetched if this machine does not have them."""
    cache = cache_directory()
    jars = cache / f"opensearch-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    with locked(cache / "opensearch.lock"):
        if not jars.exists():
            maven = shutil.which("mvn")
            if maven is None:
                raise ServerUnavailable(_HOW_TO_GET)
            # Only a whole download gets the name under which it is looked for.
            partial = Path(tempfile.mkdtemp(dir=cache))
            command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(_POM)]
            command += ["dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if result.returncode:
                shutil.rmtree(partial)
                raise ServerUnavailable(f"{_HOW_TO_GET}. Maven said: {result.stdout[-1500:]}")
            partial.rename(jars)
    return jars
