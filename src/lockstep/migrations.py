"""Versioned migrations: each is a name and what it does, run once, in order, in one transaction.

A released migration never changes. A test holds that all of them together give the schema.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from lockstep.errors import StateError


class Migration(NamedTuple):
    """One step of a schema."""

    name: str
    apply: Callable[[sa.Connection], None]


_metadata = sa.MetaData()
_applied = sa.Table(
    "migrations",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
)


def migrate(connection: sa.Connection, migrations: Sequence[Migration], where: str) -> list[str]:
    """Applies what is missing; the names applied.

    Raises StateError when the database was written by a newer Lockstep.
    """
    _metadata.create_all(connection)
    done = set(connection.scalars(sa.select(_applied.c.name)))
    known = {migration.name for migration in migrations}
    if done - known:
        raise StateError(
            f"{where} was written by a newer Lockstep (it has {', '.join(sorted(done - known))})",
            "Run that version, or a newer one.",
        )
    applied = []
    for migration in migrations:
        if migration.name not in done:
            migration.apply(connection)
            connection.execute(_applied.insert(), {"name": migration.name, "at": time.time()})
            applied.append(migration.name)
    return applied


def statements(*ddl: str) -> Callable[[sa.Connection], None]:
    """A migration that runs DDL, with BYTES for the dialect's binary type."""

    def apply(connection: sa.Connection) -> None:
        binary = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
        clustered = "" if connection.dialect.name == "postgresql" else " WITHOUT ROWID"
        serial = (
            "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
            if connection.dialect.name == "postgresql"
            else "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
        )
        for statement in ddl:
            connection.execute(
                sa.text(
                    statement.replace("BYTES", binary)
                    .replace(" CLUSTERED", clustered)
                    .replace("SERIAL", serial)
                )
            )

    return apply
