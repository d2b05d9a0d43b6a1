"""Reads a tenant's objects as tables, by object queries.

Zuora gives no consistent moment: reads of one snapshot are as of when they were made. What changes between
two of them has a later `updatedDate`, so the feed hints it and it is read again. What is compared
meanwhile may differ for that long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

from lockstep.errors import Refused, TooMuch
from lockstep.forms import keys
from lockstep.ports import MOST_BYTES, MOST_ROWS, KeyPage
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.object_query import Json, among, rows
from lockstep.systems.zuora.tables.columns import Objects, ObjectTable, asked
from lockstep.values import EVERYTHING, Fetch, Key, Span, Table

T = TypeVar("T")


class ZuoraSnapshot:
    """See `lockstep.ports.Snapshot`, and above for what it is not."""

    def __init__(self, client: Client, objects: Objects) -> None:
        self._client = client
        self._objects = objects

    def rows(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        size = 0
        for page in self.stream(fetch, values):
            found += page
            size += sum(len(one) for row in page for one in row if type(one) is str)
            if len(found) > MOST_ROWS or size > MOST_BYTES:
                raise TooMuch(
                    f"{len(found):,} rows of {fetch.table} and more, {size:,} bytes, belong together",
                    "Lockstep reads fewer at once by itself.",
                )
        return found

    def stream(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
        table = self._objects.table(fetch.table)
        for name in (*fetch.columns, *fetch.by, *(name for group in fetch.hashes for name in group)):
            table.type_of(name)
        wanted = {keys.encode(value) for value in values if None not in value}
        first = {keys.encode_one(value[0]): value[0] for value in values if None not in value}
        for condition in among(fetch.by[0], [asked(value) for value in first.values()]):
            there = {str(row.get(table.key)): row for row in self._query(table, [condition])}
            page = [
                self._row(table, fetch, row) for row in there.values() if self._is(table, fetch, row, wanted)
            ]
            yield from _parts(page, 10_000)

    def _is(self, table: ObjectTable, fetch: Fetch, row: Json, wanted: set[Key]) -> bool:
        """Whether it is one of those: a filter may look away from case, and names the first column only."""
        own = [self._objects.value(table, name, row) for name in fetch.by]
        return None not in own and keys.encode(own) in wanted

    def _row(self, table: ObjectTable, fetch: Fetch, row: Json) -> tuple[Any, ...]:
        own = [self._objects.value(table, name, row) for name in fetch.columns]
        for group in fetch.hashes:
            own.append(_hash([self._objects.value(table, name, row) for name in group]))
        return tuple(own)

    def _query(self, table: ObjectTable, conditions: Sequence[str], *more: tuple[str, str]) -> Iterator[Json]:
        filters = [("filter[]", one) for one in (*table.only, *conditions)]
        return rows(self._client, table.name, [*filters, *more])

    def keys(self, table: Table, span: Span, limit: int) -> KeyPage:
        known = self._objects.table(table.name)
        if table.key != (known.key,):
            raise Refused(
                f"the key of {known.name} is {known.key}, not {', '.join(table.key)}",
                f"Declare {known.key}: str = ls.key() in the model.",
            )
        conditions = [
            f"{known.key}.{sign}:{keys.decode(edge)[0]}"
            for sign, edge in (("GT", span.after), ("LE", span.upto))
            if edge is not None
        ]
        found: list[Key] = []
        for row in self._query(known, conditions, ("sort[]", f"{known.key}.ASC")):
            key = keys.encode((str(row[known.key]),))
            if found and key <= found[-1]:
                raise Refused(
                    f"Zuora gives {known.name} in an order that is not that of {known.key}",
                    "Lockstep would miss some. Tell its authors: this was never tried on a real tenant.",
                )
            if len(found) == limit:
                return KeyPage(found, Span(found[-1], span.upto))
            found.append(key)
        return KeyPage(found, None)


class ZuoraReader:
    """See `lockstep.ports.Reader`."""

    counted = "calls of its API"

    def __init__(self, client: Client, objects: Objects) -> None:
        self._client = client
        self._objects = objects

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[ZuoraSnapshot]:
        yield ZuoraSnapshot(self._client, self._objects)

    def visible(self, tokens: Sequence[str]) -> str | None:
        return None

    def estimate(self, table: Table) -> int:
        """One ZOQL query, which says how many there are; of subscriptions all versions count."""
        text = f"select Id from {self._objects.table(table.name).object}"
        said = self._client.ask("POST", "/v1/action/query", {"queryString": text}, reads=True)
        return int(said["size"])

    def count(self, table: Table, most: int) -> int:
        with self.snapshot() as snapshot:
            return len(snapshot.keys(table, EVERYTHING, most).keys)

    def close(self) -> None:
        self._client.close()


def _parts(some: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(some), size):
        yield list(some[start : start + size])


def _hash(values: Sequence[Any]) -> int:
    """Of the values alone: of each its key bytes, with their length before them."""
    made = blake2b(digest_size=8)
    for value in values:
        form = keys.encode_one(value)
        made.update(b"n" if form is None else b"v%d:" % len(form) + form)
    return int.from_bytes(made.digest(), "big", signed=True)
