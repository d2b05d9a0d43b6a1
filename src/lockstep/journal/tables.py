"""The journal's tables, and the migrations that lead to them."""

from __future__ import annotations

import sqlalchemy as sa

from lockstep.database.migrations import Migration, statements

metadata = sa.MetaData()
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
entries = sa.Table(
    "entries",
    metadata,
    sa.Column(
        "offset",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        sa.Identity(always=True),
        primary_key=True,
    ),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("origin", sa.BigInteger, nullable=False),
    sa.Column("hints", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sqlite_autoincrement=True,
)
sa.Index("entries_next", entries.c.stream, entries.c.lane, entries.c.offset)
marks = sa.Table(
    "marks",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("position", sa.Text, nullable=False),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("landmark", sa.Text),
)


def noted(connection: sa.Connection, name: str) -> str | None:
    """What is noted of the journal under a name, in its table `meta`."""
    return connection.scalar(sa.select(meta.c.value).where(meta.c.name == name))


migrations = (
    Migration(
        "0001_journal",
        statements(
            "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
            'CREATE TABLE entries ("offset" SERIAL, stream TEXT NOT NULL, lane TEXT NOT NULL,'
            " partition INTEGER NOT NULL, origin BIGINT NOT NULL, hints INTEGER NOT NULL,"
            " body BYTES NOT NULL, at DOUBLE PRECISION NOT NULL)",
            'CREATE INDEX entries_next ON entries (stream, lane, "offset")',
            "CREATE TABLE marks (source TEXT PRIMARY KEY NOT NULL, position TEXT NOT NULL,"
            " identity TEXT NOT NULL)",
        ),
    ),
    Migration("0002_landmark", statements("ALTER TABLE marks ADD COLUMN landmark TEXT")),
)
