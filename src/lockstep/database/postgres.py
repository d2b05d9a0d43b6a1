"""A database of the state store as a schema of a PostgreSQL database.

Writers hold an advisory lock of the schema until they commit, as those of a SQLite file wait for each other:
so an epoch that was read still holds when its transaction commits, and numbers are committed in the order in
which they were given. Commits are on the server's disk, whatever is set for the user.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.database import Access, Database
from lockstep.database.migrations import Migration
from lockstep.errors import DeclarationError, StateError, StateUnreachable
from lockstep.place import StateUrl

try:
    import psycopg
except ImportError as missing:  # pragma: no cover - tried by hand in an environment without it
    raise DeclarationError(
        f"a state store in PostgreSQL needs a package that is not installed: {missing}",
        "pip install 'lockstep-sync[postgres]'",
    ) from missing

log = logging.getLogger("lockstep")

_LIBPQ: dict[str, Any] = {
    "application_name": "lockstep state",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_SETTINGS = """
SELECT set_config('search_path', %s, false), set_config('statement_timeout', '300s', false),
       set_config('lock_timeout', '60s', false),
       set_config('idle_in_transaction_session_timeout', '300s', false),
       CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', false) END"""
_PASSING = ("08", "53", "57", "40", "55")
_REMEDIES = {
    "08": "A run tries again by itself; look at the server and the network if it lasts.",
    "25006": "Name the primary in the URL: a standby or a read-only session cannot keep state.",
    "28": "Correct the user or the password in the URL, or the server's pg_hba.conf.",
    "3D": "Correct the database's name in the URL.",
    "40": "A run tries again by itself.",
    "42501": "GRANT CREATE ON DATABASE … TO the user in the URL, or name the owner of the schemas there.",
    "53": "The server is short of connections, memory or disk; nothing committed is lost, and a run tries "
    "again by itself.",
    "55": "Something holds a lock; a run tries again by itself.",
    "57": "The server is stopping, starting or slow; a run tries again by itself.",
    "XX": "Look into the PostgreSQL server's log: data or an index may be damaged.",
}
_WORDS = ((r"authentication failed|no password|pg_hba", "28"), (r'database ".*" does not exist', "3D"))


class PostgresDatabase(Database):
    """One schema: `part` is `ledger` or `journal`."""

    def __init__(
        self, place: StateUrl, part: str, migrations: Sequence[Migration], access: Access = Access.RUN
    ) -> None:
        self._schema = f"{place.schema}_{part}"
        self._lock = lock_number(f"lockstep writes {self._schema}")
        self.name = f"{place.name.rpartition(' ')[0]} schema {self._schema}"
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: connect(place, self._schema),
            poolclass=sa.QueuePool,
            pool_size=4,
            max_overflow=60,  # as many as threads, and they are few
            use_native_hstore=False,
            isolation_level="READ COMMITTED",
        )
        try:
            if access is Access.RUN:
                self._make_schema(engine)
            super().__init__(self.name, engine, migrations, access)
        except BaseException:
            engine.dispose()
            raise

    def _make_schema(self, engine: sa.Engine) -> None:
        self._engine = engine
        with self.writing() as connection:
            known = "SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL"
            if connection.exec_driver_sql("SHOW fsync").scalar_one() == "off":
                log.warning(
                    "%s: the server has fsync = off: when its machine crashes, the state may be lost",
                    self.name,
                )
            if not connection.exec_driver_sql(known, (self._schema,)).scalar_one():
                connection.exec_driver_sql(f'CREATE SCHEMA "{self._schema}"')

    @contextlib.contextmanager
    def _alone(self, connection: sa.Connection) -> Iterator[None]:
        with connection.begin():
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self._lock,))
            yield

    def error(self, error: sa.exc.DBAPIError) -> StateError:
        return state_error(error.orig, self.name)

    def given(self, connection: sa.Connection, column: sa.Column[Any]) -> int:
        sequence = "SELECT pg_get_serial_sequence(%s, %s)"
        name = connection.exec_driver_sql(sequence, (f'"{column.table.name}"', column.name)).scalar_one()
        row = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {name}").one()
        return int(row.last_value) if row.is_called else 0


def connect(place: StateUrl, schema: str, **more: Any) -> psycopg.Connection[Any]:
    """A session of its own. Raises StateError."""
    try:
        given = psycopg.conninfo.conninfo_to_dict(place.url)
    except psycopg.Error:
        raise DeclarationError(  # `from None`: libpq's words may hold the password
            "the URL of the state store cannot be understood",
            "Write it as postgresql://user@host:5432/dbname, with signs such as @ in a password as %40.",
        ) from None
    try:
        connection = psycopg.connect(**{**_LIBPQ, **given, **more}, prepare_threshold=None)
        try:
            connection.execute(_SETTINGS, [f'"{schema}"'])
            connection.commit()
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as error:
        raise state_error(error, place.name) from error
    return connection


def state_error(error: BaseException | None, name: str) -> StateError:
    """What went wrong, and what a person does about it."""
    words = (str(error).strip() or type(error).__name__).splitlines()[0]
    state = getattr(error, "sqlstate", None) or next(
        (code for pattern, code in _WORDS if re.search(pattern, words)), "08"
    )
    remedy = next(
        (_REMEDIES[state[:size]] for size in (5, 2) if state[:size] in _REMEDIES),
        "Look into the PostgreSQL server's log.",
    )
    if state in ("42P01", "3F000"):
        remedy = (
            f"{name} was removed or is not complete. Put back a backup of it, or drop the whole schema, and "
            "start again: every key is then compared with the target."
        )
    kind = StateUnreachable if state[:2] in _PASSING else StateError
    return kind(f"the state store {name} failed: {words}", remedy)


def lock_number(what: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), "big", signed=True)
