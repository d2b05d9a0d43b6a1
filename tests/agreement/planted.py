"""What goes wrong behind Lockstep's back, planted in any target and in the ledger."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.values import Change, Fingerprint, Held, Key, Meta, Record, Version
from tests.pairs.world import World, target_of


class Saboteur:
    """Writes to a world's target past the engine, with whatever metadata it likes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._target = target_of(world.target)

    def key(self, number: int) -> Key:
        return self._target.key((number,))

    @contextlib.contextmanager
    def _writer(self) -> Iterator[Any]:
        with contextlib.closing(self._target.open(self._world.generation)) as writer:
            yield writer

    def held(self, number: int) -> Held:
        with self._writer() as writer:
            found: Held = writer.read([self.key(number)])[self.key(number)]
            return found

    def put(self, number: int, record: Record | None, meta: Meta) -> None:
        """Over whatever is there, whose version it takes: what Lockstep writes later still wins."""
        with self._writer() as writer:
            newer = msgspec.structs.replace(meta, version=Version(meta.version + 1))
            (outcome,) = writer.write([Change(self.key(number), record, newer)])
            assert outcome.status.value in ("applied", "unchanged"), outcome

    def delete(self, number: int) -> None:
        meta = self.held(number).meta
        assert meta is not None
        self.put(number, None, meta)

    def edit(self, number: int, *, honest: bool = False, **fields: Any) -> None:
        """Changes fields, and (`honest`) the stored fingerprint with them."""
        held = self.held(number)
        assert held.meta is not None
        record = {name: value for name, value in {**held.record, **fields}.items() if value is not ...}
        mark = fingerprint(held.key, canonical(record)) if honest else held.meta.fingerprint
        with contextlib.nullcontext() if honest else self._hashes_stay():
            self.put(number, record, msgspec.structs.replace(held.meta, fingerprint=mark))

    @contextlib.contextmanager
    def _hashes_stay(self) -> Iterator[None]:
        """What a table's companion says that its rows were, as where somebody edits the table alone."""
        kind, where, name = self._world.target.split("|")
        if kind not in ("sql", "postgres"):
            yield
            return
        own = f"_lockstep_{name}" if kind == "sql" else f"out._lockstep_{name}"
        with contextlib.closing(sqlite3.connect(where) if kind == "sql" else psycopg.connect(where)) as it:
            connection: Any = it
            before = connection.execute(f"SELECT held, recipe, key FROM {own}").fetchall()
            connection.commit()
            yield
            sign = "?" if kind == "sql" else "%s"
            statement = f"UPDATE {own} SET held = {sign}, recipe = {sign} WHERE key = {sign}"
            connection.cursor().executemany(statement, before)
            connection.commit()

    def exchange(self, one: int, other: int) -> None:
        """Two documents, with the fingerprints they carry."""
        first, second = self.held(one), self.held(other)
        assert first.meta is not None
        assert second.meta is not None
        named = "id" in first.record
        for number, held, mine in ((one, second, first.meta), (other, first, second.meta)):
            record = {**held.record, "id": number} if named else held.record
            assert held.meta is not None
            self.put(number, record, msgspec.structs.replace(mine, fingerprint=held.meta.fingerprint))

    def add(self, number: int, mapping: str, source: int, version: int = 1) -> None:
        """A record that says it is of a mapping and a source key."""
        record: dict[str, Any] = {"email": "extra", "company": None, "tags": [], "threads": []}
        held = self.held(1)
        if "id" in held.record:
            record["id"] = number
        mark = fingerprint(self.key(number), canonical(record))
        self.put(
            number, record, Meta(mapping, keys.encode((source,)), Fingerprint(mark), 0, Version(version))
        )


def alter_ledger(world: World, number: int, what: str) -> None:
    """Does something to a ledger row that a bad disk might."""
    with contextlib.closing(sqlite3.connect(Path(world.state) / "ledger.db", timeout=30)) as connection:
        connection.execute(f"{what} WHERE key = ?", (keys.encode((number,)),))
        connection.commit()
