"""Copies of a PostgreSQL for tests: a standby that may be promoted, and a backup that is put back."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .postgres import PostgresServer


class PostgresStandby(PostgresServer):
    """A hot standby that streams from a running server of the same kind.

    It receives through a physical slot of the primary's.
    """

    def __init__(self, primary: PostgresServer, *, settings: Mapping[str, str] | None = None) -> None:
        source = f"host={primary.sockets} port={primary.port} user=postgres password={primary.password}"
        own = {
            "primary_conninfo": f"{source} dbname=postgres",
            "primary_slot_name": "standby",
            "hot_standby_feedback": "on",
            "wal_retrieve_retry_interval": "100ms",
        }
        super().__init__(settings={**own, **(settings or {})})
        self.password = primary.password
        self._primary = primary

    def promote(self) -> None:
        """Make it a primary, on a timeline of its own."""
        with self._connect() as connection:
            connection.execute("SELECT pg_promote(true, 60)")

    def caught_up(self) -> bool:
        """Whether it has replayed all that the primary has written by now."""
        with self._primary._connect() as connection:
            mark = "SELECT pg_logical_emit_message(true, 'standby', '')"
            (end,) = connection.execute(mark).fetchone() or ("0/0",)
        with self._connect() as connection:
            row = connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [end]).fetchone()
        return bool(row and row[0])

    def has_slot(self, name: str) -> bool:
        """Whether a failover slot of the primary's would be there after a promotion.

        With `sync_replication_slots = on`, that is once it has been moved on there after it was made.
        """
        kept = "SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = %s"
        with self._connect() as connection:
            return connection.execute(kept, [name]).fetchone() == (True,)

    def _initialise(self, home: Path) -> None:
        self.sockets = str(home)
        if self._user is not None:
            os.chown(home, self._user.pw_uid, self._user.pw_gid)
        command = f"""pg_basebackup --pgdata={home}/data --host={self._primary.sockets}
            --port={self._primary.port} --username=postgres --checkpoint=fast --wal-method=stream
            --create-slot --slot=standby --no-sync""".split()
        self._program(home, command, PGPASSWORD=self.password)
        (home / "data" / "standby.signal").touch()


class Backup:
    """The data of a server as it was at one moment, which may be put back over it.

    The server is stopped while files are copied, and started again.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._copy = server.data.with_name("backup")
        server.stop()
        _copied(server.data, self._copy)
        server.start()

    def put_back(self) -> None:
        """The server as it was then, timeline and all: as when a disk's snapshot is mounted."""
        self._replace()
        self._server.start()

    def recover(self) -> None:
        """The server as it was then, on a new timeline: as after a restore to a point in time."""
        self._replace()
        (self._server.data / "standby.signal").touch()
        self._server.start()
        with self._server._connect() as connection:
            connection.execute("SELECT pg_promote(true, 60)")

    def _replace(self) -> None:
        if self._server.pid is not None:
            self._server.stop()
        subprocess.run(["rm", "-rf", str(self._server.data)], check=True)
        _copied(self._copy, self._server.data)


def _copied(what: Path, to: Path) -> None:
    subprocess.run(["cp", "-a", str(what), str(to)], check=True)
