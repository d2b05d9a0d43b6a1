"""A batch of different keys, written in one transaction: rows, what they now hold, and the companion."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.forms.canonical import canonical
from lockstep.systems.sql.companion import KNOWN, Before, Companion, after, before
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.items import Item, names_text
from lockstep.systems.sql.proof import hashed_columns
from lockstep.systems.sql.rows import Cells, Rows
from lockstep.values import Key, Outcome, Record, Status

_APPLIED = Outcome(Status.APPLIED)
_AT_ONCE = 2_000
Proof = tuple[int | None, int | None]  # a row's hash, and its recipe


def read_companion(
    connection: sa.Connection, dialect: Dialect, own: Companion, keys: Sequence[Key]
) -> dict[Key, Before]:
    """What the companion knows of these keys."""
    found: dict[Key, Before] = {}
    columns: list[Any] = [sa.column(name) for name in KNOWN]  # without types: values as the driver has them
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        query = sa.select(*columns).select_from(own.rows).where(dialect.among(own.rows.c.key, some))
        found.update((row[0], before(row)) for row in connection.execute(query).all())
    return found


def record_of(rows: Rows, names: Iterable[str], cells: Iterable[object]) -> Record:
    """Cells as a record, nulls included."""
    columns = rows.columns
    return {
        name: None if cell is None else columns[name].decode(cell)
        for name, cell in zip(names, cells, strict=True)
    }


def apply(
    connection: sa.Connection, dialect: Dialect, rows: Rows, own: Companion, items: Sequence[Item]
) -> list[tuple[int, Outcome]]:
    """Writes what is not older than what the companion knows. Raises the driver's error for a bad row."""
    known = read_companion(connection, dialect, own, [item.change.key for item in items])
    outcomes: list[tuple[int, Outcome]] = []
    puts: list[Item] = []
    gone: list[Item] = []
    for item in items:
        old = known.get(item.change.key)
        if old is not None and old.meta.version > item.change.meta.version:
            newer = f"the target holds version {old.meta.version}, which is newer"
            outcomes.append((item.place, Outcome(Status.SUPERSEDED, newer)))
        else:
            (gone if item.change.record is None else puts).append(item)
    _put(connection, rows, puts, known)
    if gone:
        rows.delete(connection, [item.key for item in gone])
        outcomes += [(item.place, _APPLIED) for item in gone]
    written: list[tuple[Item, Proof]] = [(item, (None, None)) for item in gone]
    for item, outcome, proof in _held(connection, dialect, rows, puts):
        outcomes.append((item.place, outcome))
        if outcome.status is Status.APPLIED:
            written.append((item, proof))
    if written:
        note(connection, dialect, rows, own, written)
    return outcomes


def _put(connection: sa.Connection, rows: Rows, puts: Sequence[Item], known: dict[Key, Before]) -> None:
    """Upserts, one statement for each set of columns. A column that the record had before and has no
    more becomes null; one that it never had is somebody else's, and is left alone."""
    groups: dict[tuple[str, ...], list[Sequence[object]]] = defaultdict(list)
    for item in puts:
        old = known.get(item.change.key)
        dropped: tuple[str, ...] = ()
        if old is not None and old.there and old.names != item.names:
            dropped = tuple(
                name
                for name in old.names
                if name not in item.names and name not in rows.key and name in rows.columns
            )
        groups[item.names + dropped].append((*item.key, *item.cells, *(None for _ in dropped)))
    for names, cells in groups.items():
        rows.upsert(connection, names, cells)


def _held(
    connection: sa.Connection, dialect: Dialect, rows: Rows, puts: Sequence[Item]
) -> list[tuple[Item, Outcome, Proof]]:
    """Reads back what was written, with its hash: affinities and triggers may have made it something else."""
    groups: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in puts:
        record = item.change.record
        assert record is not None
        groups[tuple(record)].append(item)
    out: list[tuple[Item, Outcome, Proof]] = []
    for names, items in groups.items():
        found: dict[Key, Cells] = {}
        columns = hashed_columns(rows, names)
        assert columns is not None  # they were just written
        made = dialect.hash_sql(connection, rows, columns, None)
        for cells in rows.select(connection, [item.key for item in items], names, made.sql):
            found[rows.key_of(cells[: len(rows.key)])] = cells[len(rows.key) :]
        for item in items:
            cells_now = found.get(item.change.key)
            if cells_now is None:
                reason = (
                    f"table {rows.name} took the row and does not hold it: look for a trigger that drops it"
                )
                out.append((item, Outcome(Status.REJECTED, reason), (None, None)))
                continue
            *values, number = cells_now
            held = record_of(rows, names, values)
            same = canonical(held) == item.form
            outcome = _APPLIED if same else Outcome(Status.APPLIED, held=held)
            out.append((item, outcome, (number, made.recipe)))
    return out


def note(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    items: Sequence[tuple[Item, Proof]],
) -> None:
    """Makes the companion say what was just written, in the same transaction."""
    now = time.time()
    noted = [
        after(
            item.change,
            names_text(tuple(item.change.record or ())),
            now if item.change.record is None else None,
            *proof,
        )
        for item, proof in items
    ]
    dialect.upsert(connection, own.rows, noted, "version")
    highest = max(item.change.meta.version for item, _ in items)
    connection.execute(
        own.targets.update()
        .where(own.targets.c.name == rows.bare, own.targets.c.highest < highest)
        .values(highest=highest)
    )
