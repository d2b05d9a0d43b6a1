"""Connections to a PostgreSQL server.

Whatever the user, the database or a pooler has set, a value must read the same: so each connection sets all
that has a part in it (zone, date and interval style, float digits, bytea form) by itself, after connecting,
as startup options would be refused by poolers.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lockstep.errors import DeclarationError
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.loaders import adapters

Connection = psycopg.Connection[tuple[Any, ...]]

READING_SECONDS = 60.0
"""Longest statement, where nobody says otherwise."""

WRITING_SECONDS = 300.0
"""Longest statement that writes to a target: behind it may be triggers, and locks of others."""

GRACE = 15.0
"""Seconds that we wait for an answer after the server should have given up by itself."""

_FORMS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "search_path": "pg_catalog",
    "row_security": "off",  # a policy that hides rows must be an error: hidden reads as deleted
    "jit": "off",
    "cursor_tuple_fraction": "1",  # whoever opens a cursor here reads all of it
    "synchronous_commit": "local",
}
LOCK_TIMEOUT = "30s"
_TIMES = {
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": "600s",
}
# A peer that vanished is noticed within a minute on either side; else its slot stays taken for hours.
_KEEPALIVE = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
# Half of it passes, at most, before a server that decodes what is of no concern to us says so.
_SENDER = {"wal_sender_timeout": "120s"}
_LIBPQ: dict[str, str | int | None] = {
    "application_name": "lockstep",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class _Patient(psycopg.Connection[tuple[Any, ...]]):
    """Waits for an answer no longer than `patience` seconds: a peer that went deaf never gives one, and
    what stands between may go on to answer the network's own questions."""

    patience: float = READING_SECONDS + GRACE

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        begun = time.monotonic()
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if timeout is None and error.sqlstate is None and time.monotonic() - begun >= self.patience:
                self.pgconn.finish()
                raise psycopg.OperationalError(
                    f"no answer within {self.patience:.0f} seconds: the server, or something on the way to "
                    "it, hangs"
                ) from error
            raise


class Address:
    """Where a database is, and how to log in. Prints without the password.

    `statement_timeout`: seconds after which the server gives up on a statement of ours.
    """

    def __init__(self, url: str, *, statement_timeout: float = READING_SECONDS) -> None:
        plain = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url)
        try:
            given: dict[str, str | int | None] = dict(conninfo_to_dict(plain))
        except psycopg.Error:
            raise DeclarationError(  # `from None`: libpq's words may hold the password
                "the URL of a PostgreSQL database cannot be understood",
                "Write it as postgresql://user@host:5432/dbname, with signs such as @ in a password as %40.",
            ) from None
        self._given = given
        self._statement_timeout = statement_timeout
        self.user = str(given.get("user") or os.environ.get("PGUSER") or "")
        host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST") or "localhost"
        port = given.get("port") or os.environ.get("PGPORT") or "5432"
        database = given.get("dbname") or os.environ.get("PGDATABASE") or self.user
        self.database = str(database)
        self.name = f"postgres:{host}:{port}/{database}"

    def __repr__(self) -> str:
        return self.name

    def connect(self, seconds: float | None = None) -> Connection:
        """A connection for reading, one statement a transaction; `seconds` for each at most."""
        longest = self._statement_timeout if seconds is None else seconds
        times = {"statement_timeout": f"{longest * 1000:.0f}ms"}
        return self._connected(longest + GRACE, times | _TIMES | _FORMS)

    def writing(self) -> psycopg.Connection[Any]:
        """A connection for writing to a target, in transactions. The user's triggers find what they name:
        the search path stays. A commit is on the server's disk when it answers."""
        settings = _TIMES | {name: _FORMS[name] for name in _FORMS if name != "search_path"}
        settings |= {"statement_timeout": f"{WRITING_SECONDS:.0f}s", "synchronous_commit": "on"}
        connection = self._connected(WRITING_SECONDS + GRACE, settings, psycopg.Cursor)
        connection.autocommit = False
        return connection

    def replication(self) -> Connection:
        """A connection that can stream the log. psycopg connects it, and knows nothing of what follows.

        (libpq's own PQconnectdb would hold the interpreter's lock, and all our threads, until it is done.)
        """
        settings = {"statement_timeout": "0"} | _FORMS | _KEEPALIVE | _SENDER
        return self._connected(READING_SECONDS, settings, replication="database")

    def _connected(
        self,
        patience: float,
        settings: dict[str, str],
        cursors: type[psycopg.Cursor[Any]] = psycopg.RawCursor,
        **more: str,
    ) -> Connection:
        with mapped(f"connecting to {self.name}" + (" for replication" if more else "")):
            connection = _Patient.connect(
                make_conninfo("", **{**_LIBPQ, **self._given, "client_encoding": "UTF8", **more}),
                autocommit=True,
                prepare_threshold=None,  # a generic plan knows nothing of 5,000 keys, and poolers mix them up
                cursor_factory=cursors,
                context=adapters(),
            )
            connection.patience = patience
            try:
                connection.execute(_settings(settings))
            except BaseException:
                connection.close()
                raise
        return cast(Connection, connection)


def _settings(values: dict[str, str]) -> bytes:
    return "; ".join(f"SET {name} = '{value}'" for name, value in values.items()).encode()
