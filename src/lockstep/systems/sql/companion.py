"""The tables Lockstep keeps in a SQL target: what it wrote to the user's table, and which target this is.

`_lockstep_<table>` has a row per target key that was ever written: its metadata, the names of the columns
that the record had (so that null, missing and somebody else's columns stay three things), and for a deleted
key a tombstone, so that an older write cannot resurrect it. `_lockstep_targets` has a row per target; in it
`restored`, the saved state that was put in its place, so that it is not put there twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from lockstep.values import Change, Meta

TARGETS = "_lockstep_targets"

PROOF: dict[str, type[sa.types.TypeEngine[Any]]] = {"held": sa.BigInteger, "recipe": sa.Integer}
"""What tells whether a row is as it was written: the hash of its columns, and how it was made (see `proof`).
Null in rows that were written before there was one."""

KNOWN = ("key", "mapping", "source", "fingerprint", "sum", "version", "names", "buried")
"""The columns that every companion has."""


class Companion(NamedTuple):
    """Both tables, for one table of the user's."""

    rows: sa.Table
    targets: sa.Table


def companion(
    schema: str | None, table: str, longest: int | None, options: dict[str, Any] | None
) -> Companion:
    """The definitions of Lockstep's tables beside a table, in its schema."""
    metadata, options = sa.MetaData(schema=schema), options or {}
    rows = sa.Table(
        shortened("_lockstep_", table, "", longest),
        metadata,
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("mapping", sa.Text, nullable=False),
        sa.Column("source", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.BigInteger, nullable=False),
        sa.Column("sum", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("buried", sa.Float),  # when it was deleted; null while it is there
        *(sa.Column(name, type_) for name, type_ in PROOF.items()),
        **options,
    )
    gone = rows.c.buried.is_not(None)
    sa.Index(
        shortened("_lockstep_", table, "_buried", longest),
        rows.c.buried,
        sqlite_where=gone,
        postgresql_where=gone,
    )
    targets = sa.Table(
        TARGETS,
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("marker", sa.Text, nullable=False),
        sa.Column("highest", sa.BigInteger, nullable=False),
        sa.Column("restored", sa.Text),
        **options,
    )
    return Companion(rows, targets)


def widen(connection: sa.Connection, table: sa.Table) -> None:
    """Gives a table that an older Lockstep made the columns that it did not know yet."""
    known = {column["name"] for column in sa.inspect(connection).get_columns(table.name, table.schema)}
    name = connection.dialect.identifier_preparer.format_table(table)
    for column in table.columns:
        if column.name not in known:
            declared = column.type.compile(connection.dialect)
            connection.exec_driver_sql(
                f"ALTER TABLE {name} ADD COLUMN {column.name} {declared}".replace("%", "%%")
            )


def shortened(prefix: str, table: str, suffix: str, longest: int | None) -> str:
    """A name made of a table's; where that is too long, of its beginning and a hash."""
    name = f"{prefix}{table}{suffix}"
    if longest is None or len(name.encode()) <= longest:
        return name
    digest = hashlib.blake2b(table.encode(), digest_size=6).hexdigest()
    room = longest - len(f"{prefix}_{digest}{suffix}")
    return f"{prefix}{table.encode()[:room].decode(errors='ignore')}_{digest}{suffix}"


class Before(NamedTuple):
    """What the companion knows of a key."""

    meta: Meta
    names: tuple[str, ...]
    there: bool


def before(row: Sequence[Any]) -> Before:
    """The `KNOWN` columns of a companion row as values."""
    _, mapping, source, mark, total, version, names, buried = row
    return Before(Meta(mapping, source, mark, total, version), _named(names), buried is None)


@lru_cache(maxsize=1_000)
def _named(text: str) -> tuple[str, ...]:
    """The names that records had: a few sets of them, in millions of rows."""
    return tuple(json.loads(text))


def after(
    change: Change, names: str, buried: float | None, held: int | None, recipe: int | None
) -> dict[str, Any]:
    """The companion row of a change. `names` is JSON text, made once per set of names."""
    meta = change.meta
    return {
        "key": change.key,
        "mapping": meta.mapping,
        "source": meta.key,
        "fingerprint": meta.fingerprint,
        "sum": meta.sum,
        "version": meta.version,
        "names": names,
        "buried": buried,
        "held": held,
        "recipe": recipe,
    }
