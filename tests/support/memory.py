"""A source and a target in memory: tiny, obvious references of the ports, to test the engine with."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from lockstep.catalog import Catalog
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.ports import Features, Feed, KeyPage
from lockstep.values import (
    Change,
    Contents,
    Fetch,
    Finding,
    Held,
    Hint,
    Identity,
    JoinValues,
    Key,
    Outcome,
    Record,
    Span,
    Status,
    Table,
    Version,
)

Row = dict[str, Any]


def row_hash(values: Sequence[Any]) -> int:
    """Some signed 64-bit hash of values: what a source would compute."""
    digest = hashlib.blake2b(repr(tuple(values)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class MemorySnapshot:
    """`lockstep.ports.Snapshot`, by looking at every row."""

    def __init__(self, source: MemorySource) -> None:
        self._tables = {name: list(rows) for name, rows in source.tables.items()}
        self._source = source

    def rows(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        wanted = {value for value in values if None not in value}
        found = []
        for row in self._tables.get(fetch.table, ()):
            if tuple(row[name] for name in fetch.by) in wanted:
                if fetch.table in self._source.bad and self._source.bad[fetch.table](row):
                    raise DataError("a value that cannot be read", "Mend it.")
                own = tuple(row[name] for name in fetch.columns)
                hashes = tuple(row_hash([row[name] for name in group]) for group in fetch.hashes)
                self._source.hashed += len(hashes)
                found.append(own + hashes)
        return self._source.shuffle(found)

    def stream(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
        found = self.rows(fetch, values)
        for start in range(0, len(found), 2):
            yield found[start : start + 2]

    def keys(self, table: Table, span: Span, limit: int) -> KeyPage:
        every = sorted(keys.encode([row[name] for name in table.key]) for row in self._tables[table.name])
        inside = [
            key
            for key in every
            if (span.after is None or key > span.after) and (span.upto is None or key <= span.upto)
        ]
        if self._source.ordered:
            page = inside[:limit]
            rest = Span(page[-1], span.upto) if len(inside) > limit else None
            return KeyPage(page, rest)
        inside.sort(key=row_hash_of_key)
        at = int(span.cursor or 0)
        page = inside[at : at + limit]
        more = at + limit < len(inside)
        rest = Span(span.after, span.upto, str(at + limit)) if more else None
        return KeyPage(page, rest, ordered=False)


def row_hash_of_key(key: Key) -> int:
    return row_hash([key])


class MemorySource:
    """`lockstep.ports.Source` and `Reader` in one. `tables` holds rows as dicts."""

    name = "memory"

    def __init__(self, **tables: list[Row]) -> None:
        self.tables = tables
        self.bad: dict[str, Callable[[Row], bool]] = {}
        self.ordered = True
        self.invisible: set[str] = set()
        self.snapshots = 0
        self.hashed = 0
        self.on_snapshot: Callable[[], None] = lambda: None
        self.shuffle: Callable[[list[tuple[Any, ...]]], list[tuple[Any, ...]]] = lambda rows: rows[::-1]

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[MemorySnapshot]:
        self.snapshots += 1
        self.on_snapshot()
        yield MemorySnapshot(self)

    def visible(self, tokens: Sequence[str]) -> str | None:
        unseen = self.invisible.intersection(tokens)
        return f"transactions {sorted(unseen)}" if unseen else None

    def estimate(self, table: Table) -> int:
        return len(self.tables[table.name])

    def count(self, table: Table, most: int) -> int:
        return min(len(self.tables[table.name]), most)

    def close(self) -> None: ...

    def reader(self) -> MemorySource:
        return self

    def feed(self) -> Feed:
        raise NotImplementedError

    def check(self, tables: Sequence[Table]) -> list[Finding]:
        return []

    def catalog(self) -> Catalog:
        raise NotImplementedError

    def parse_keys(self, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        raise NotImplementedError


def hint_of(table: Table, before: Row | None, after: Row | None) -> list[Hint]:
    """The hints that a feed makes of one changed row: two where its key changed."""

    def key_of(row: Row | None) -> Key | None:
        return None if row is None else keys.encode([row[name] for name in table.key])

    def joins(row: Row | None) -> JoinValues | None:
        return None if row is None else {name: keys.encode_one(row[name]) for name in table.joins}

    old, new = key_of(before), key_of(after)
    if old == new or old is None or new is None:
        return [Hint(table.name, key=old or new, before=joins(before), after=joins(after))]
    return [Hint(table.name, key=old, before=joins(before)), Hint(table.name, key=new, after=joins(after))]


class MemoryWriter:
    """`lockstep.ports.Writer` over a dict. `answer` may decide what becomes of a change."""

    def __init__(self, *, normalise: Callable[[Record], Record] | None = None) -> None:
        self.features = Features(versions=True, normalises=normalise is not None)
        self.records: dict[Key, Held] = {}
        self.versions: dict[Key, Version] = {}
        self.written: list[Change] = []
        self.marker: str | None = None
        self.answer: Callable[[Change], Status | None] = lambda change: None
        self.lands: Callable[[Change], bool] = lambda change: False
        self._normalise = normalise

    def identity(self) -> Identity | None:
        if self.marker is None:
            return None
        return Identity("memory", "memory", self.marker)

    def contents(self) -> Contents:
        return Contents(len(self.records), max(self.versions.values(), default=Version(0)))

    def create(self, marker: str) -> Identity:
        self.marker = marker
        found = self.identity()
        assert found is not None
        return found

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        return [self._write(change) for change in changes]

    def _write(self, change: Change) -> Outcome:
        said = self.answer(change)
        if said is not None and not self.lands(change):
            return Outcome(said, f"told to: {said}")
        if change.meta.version < self.versions.get(change.key, 0):
            return Outcome(Status.SUPERSEDED, "older")
        self.versions[change.key] = change.meta.version
        self.written.append(change)
        if change.record is None:
            self.records.pop(change.key, None)
            return Outcome(said or Status.APPLIED)
        record = self._normalise(change.record) if self._normalise else change.record
        record = msgspec.json.decode(msgspec.json.encode(record))
        self.records[change.key] = Held(change.key, record, change.meta)
        return Outcome(said or Status.APPLIED, held=record if self._normalise else None)

    def read(self, wanted: Sequence[Key]) -> dict[Key, Held]:
        return {key: self.records[key] for key in wanted if key in self.records}

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        found = sorted(key for key in self.records if after is None or key > after)
        return [self.records[key] for key in found[:limit]]

    def close(self) -> None: ...


class MemoryTarget:
    """`lockstep.ports.Target` whose every generation is one writer."""

    def __init__(self, name: str = "memory:target", writer: MemoryWriter | None = None) -> None:
        self.name = name
        self.writer = writer or MemoryWriter()

    def key(self, values: Sequence[Any]) -> Key:
        return keys.encode(values)

    def open(self, generation: int) -> MemoryWriter:
        return self.writer

    def check(self) -> list[Finding]:
        return []
