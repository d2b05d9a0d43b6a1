"""Saved states of PostgreSQL tables: files of COPY, in its text format.

Text, not binary: it is what pg_dump relies on, so every type has it and comes back exactly under the settings
that our connections have, on another major version and another machine too; the binary form is each type's
own, and some types have none. All files are of one REPEATABLE READ snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import Refused
from lockstep.systems.postgres import names
from lockstep.systems.saved.durable import Moved
from lockstep.systems.sql.copier import Copier, Place, Reference
from lockstep.systems.sql.merging import literally

if TYPE_CHECKING:
    from lockstep.systems.postgres.target.writer import PostgresDialect

_AT_ONCE = 1 << 18

_REFERRING = """
SELECT c.conrelid::int8, n.nspname::text, r.relname::text, c.confdeltype IN ('c', 'n', 'd'),
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k(num, n)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num),
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY AS k(num, n)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num)
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid <> c.confrelid
  AND c.confrelid = (SELECT t.oid FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace
                     WHERE s.nspname = %s AND t.relname = %s)"""
_FIXED = """
SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attidentity = 'a' AND NOT a.attisdropped"""
_TEMPORARY = """
SELECT current_user::text, current_database()::text,
       has_database_privilege(current_database(), 'TEMPORARY')"""
_CHILDREN = """
SELECT h.inhrelid::regclass::text FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r' LIMIT 1"""


class PostgresCopier(Copier):
    """Of one database. Statements have no time limit here: a table is as large as it is."""

    overriding = "OVERRIDING SYSTEM VALUE "

    def __init__(self, dialect: PostgresDialect) -> None:
        self._dialect = dialect

    @contextmanager
    def saving(self, directory: Path) -> Iterator[sa.Connection]:
        with self._dialect.reading() as connection:
            _unhurried(connection)
            yield connection

    def put(
        self,
        connection: sa.Connection,
        directory: Path,
        name: str,
        table: Place,
        key: Sequence[str],
        moved: Moved,
    ) -> int:
        _without_children(connection, table)
        columns = list(self._dialect.columns(connection, self._dialect.written(*table)))
        rows = 0
        query = f"COPY (SELECT {names.columns(columns)} FROM {_sql(table)}) TO STDOUT"
        with (
            _raw(connection) as cursor,
            (directory / name).open("xb") as file,
            cursor.copy(query.encode()) as copied,
        ):
            for chunk in copied:
                file.write(chunk)
                rows += bytes(chunk).count(b"\n")  # one ends each row; in values they are escaped
                moved(1)
        return rows

    @contextmanager
    def restoring(self, directory: Path, create: bool = False) -> Iterator[sa.Connection]:
        with self._dialect.writing() as connection:
            user, database, temporary = connection.exec_driver_sql(_TEMPORARY).one()
            if not temporary:
                raise Refused(
                    f"user {user} may not create temporary tables in database {database}, where saved rows "
                    "are compared with those that are there",
                    f"GRANT TEMPORARY ON DATABASE {names.quoted(database)} TO {names.quoted(user)};",
                )
            _unhurried(connection)
            yield connection

    def stage(
        self,
        connection: sa.Connection,
        directory: Path,
        name: str,
        into: Place,
        columns: Sequence[str],
        moved: Moved,
    ) -> str:
        _without_children(connection, into)
        staged, every = f"pg_temp.{names.quoted(f'lockstep {name}')}", names.columns(columns)
        connection.execute(literally(f"LOCK TABLE {_sql(into)} IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(
            literally(
                f"CREATE TEMPORARY TABLE {names.quoted(f'lockstep {name}')} ON COMMIT DROP "
                f"AS SELECT {every} FROM {_sql(into)} WITH NO DATA"
            )
        )
        filling = f"COPY {staged} ({every}) FROM STDIN"
        with (
            _raw(connection) as cursor,
            (directory / name).open("rb") as file,
            cursor.copy(filling.encode()) as copied,
        ):
            while chunk := file.read(_AT_ONCE):
                copied.write(chunk)
                moved(len(chunk))
        connection.execute(literally(f"ANALYZE {staged}"))
        return staged

    def differ(self, columns: Sequence[str]) -> str:
        """By their texts: not every type has an equality, and equal numbers may be written otherwise."""
        saved, now = (", ".join(f"{of}.{names.quoted(name)}" for name in columns) for of in ("s", "t"))
        as_text = '::pg_catalog.text COLLATE pg_catalog."C"'
        return f"ROW({saved}){as_text} IS DISTINCT FROM ROW({now}){as_text}"

    def fixed(self, connection: sa.Connection, table: Place) -> list[str]:
        return list(connection.exec_driver_sql(_FIXED, table).scalars())

    def like(self, connection: sa.Connection, table: Place, scratch: Place, key: Sequence[str]) -> None:
        connection.execute(
            literally(
                f"CREATE TABLE {_sql(scratch)} "
                f"(LIKE {_sql(table)} INCLUDING ALL EXCLUDING COMMENTS EXCLUDING STATISTICS)"
            )
        )

    def referring(self, connection: sa.Connection, table: Place) -> list[Reference]:
        return [
            Reference(_sql((schema, name)), list(zip(by, to, strict=True)), changes=changes)
            for _, schema, name, changes, by, to in connection.exec_driver_sql(_REFERRING, table).all()
        ]


@contextmanager
def _raw(connection: sa.Connection) -> Iterator[psycopg.Cursor[Any]]:
    """The driver's own cursor, as SQLAlchemy knows no COPY; its errors come out as SQLAlchemy's."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.cursor() as cursor:
            yield cursor
    except psycopg.Error as error:
        raise DBAPIError("COPY", None, error) from error


def _unhurried(connection: sa.Connection) -> None:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _without_children(connection: sa.Connection, table: Place) -> None:
    """Rows of tables that inherit from it are seen in it, and would come back as its own."""
    child = connection.exec_driver_sql(_CHILDREN, table).scalar_one_or_none()
    if child is not None:
        raise Refused(
            f"table {names.written(*_known(table))} has a table that inherits from it: {child}",
            "Use partitions, or a table of its own, for a target that is to be saved.",
        )


def _sql(table: Place) -> str:
    schema, name = _known(table)
    return f"{names.quoted(schema)}.{names.quoted(name)}"


def _known(table: Place) -> tuple[str, str]:
    schema, name = table
    assert schema is not None
    return schema, name
