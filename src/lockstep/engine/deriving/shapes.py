"""Rows → shapes: each table of a shape is read once for many parents, and built column by column.

Work done row by row in Python costs more than all that the source does. So what comes is turned into columns
once, what hangs on a row is found for all rows at a time, and instances are made by `map` over columns: each
distinct row once, however many roots share it. Lists are in canonical key order.

The source's own row hashes travel with the rows as sums of their halves, a pair of columns for each path:
`mix` is linear in them, so a shared row is summed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

from lockstep.declaration.described import Column
from lockstep.declaration.shape import Node
from lockstep.engine.deriving.columns import (
    Built,
    Columns,
    Found,
    Row,
    Sums,
    Values,
    as_rows,
    ended,
    failing,
    grouped,
    listed,
    of_columns,
    single,
    sort,
    summed,
)
from lockstep.engine.deriving.unreadable import Bad, UnreadableRows
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.forms.canonical import MASK31, halves, path_constant, wrap64
from lockstep.ports import Snapshot
from lockstep.values import Fetch


class Roots(NamedTuple):
    """The roots that were found: the values of their key columns, their shapes, their source sums."""

    values: list[Row]
    shown: list[Any]
    sums: list[int]


class Plan:
    """How to read one node of a shape for given parents, and how to build its instances. Not `summed`: the
    source hashes no rows, and all sums are 0."""

    def __init__(self, node: Node, *, root: bool = False, summed: bool = True) -> None:
        self.node = node
        columns = node.table.columns
        hashes = (columns, node.table.key) if root else (columns,)
        up = node.table.key if root else node.up
        self._fetch = Fetch(node.table.name, columns, up, hashes if summed else ())
        self._key = of_columns(columns, node.table.key)
        self._row_key = itemgetter(*map(columns.index, node.table.key))
        self._up = of_columns(columns, up)
        self._kids = [
            (Plan(child, summed=summed), of_columns(columns, child.down)) for child in node.children
        ]
        self._width = len(columns)
        self._order = self._arguments()
        self._constants = [halves(path_constant(below.path)) for below in node.walk()] if summed else []

    def roots(self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad) -> Roots:
        """The roots that have these key values; of those that cannot be read, the reason."""
        rows, unreadable = self._rows(snapshot, wanted, bad)
        values, errors = list(unreadable), list(unreadable.values())
        if not rows:
            return Roots(values, errors, [0] * len(errors))
        built = self._build(snapshot, rows, bad)
        own = self._key(built.columns)
        found = [(value,) for value in own] if len(self.node.table.key) == 1 else list(own)
        sums = self._totals(built)
        return Roots(found + values, built.shown + errors, sums + [0] * len(errors))

    def _totals(self, built: Built) -> list[int]:
        """Per root the sum over all paths of `mix(row, root ^ path)`: see `canonical.mix`."""
        if not self._constants:
            return [0] * len(built.shown)
        key_hashes = built.columns[self._width + 1]
        highs = [key_hash >> 32 & MASK31 for key_hash in key_hashes]
        lows = [key_hash & MASK31 for key_hash in key_hashes]
        totals = [0] * len(key_hashes)
        for (path_high, path_low), path in zip(self._constants, built.sums, strict=True):
            totals = [
                total + (high ^ path_high) * row_low + (low ^ path_low) * row_high
                for total, high, low, row_high, row_low in zip(
                    totals, highs, lows, path.highs, path.lows, strict=True
                )
            ]
        return list(map(wrap64, totals))

    def _read(self, snapshot: Snapshot, downs: Values, bad: Bad) -> Found:
        """What hangs on parents, by the values that their `down` columns have."""
        wanted = as_rows(set(downs), len(self.node.up))
        if self.node.cls is None:
            return self._linked(snapshot, wanted, bad)
        ups, built = self._made(snapshot, wanted, bad, ordered=self.node.many)
        if not ups:
            return self._nothing()
        return (listed if self.node.many else single)(ups, built)

    def _made(
        self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad, *, ordered: bool
    ) -> tuple[list[Any], Built]:
        """What was built of the rows that these values lead to, and by which value each is found;
        `ordered` in key order of the rows."""
        rows, unreadable = self._rows(snapshot, wanted, bad)
        if ordered:
            sort(rows, self._row_key)
        built = self._build(snapshot, rows, bad)
        ups = list(self._up(built.columns)) if rows else []
        for value, error in unreadable.items():
            ups.append(value if len(self.node.up) > 1 else value[0])
            built = failing(built, error)
        return ups, built

    def _rows(
        self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad
    ) -> tuple[list[Row], dict[Row, DataError]]:
        """The rows that these values lead to, and why those of some cannot be read.

        Raises UnreadableRows where that is not known yet.
        """
        unreadable: dict[Row, DataError] = {}
        if known := bad.get(self.node.path):
            unreadable = {value: known[value] for value in wanted if value in known}
            wanted = [value for value in wanted if value not in known]
        if not wanted:
            return [], unreadable
        try:
            return snapshot.rows(self._fetch, wanted), unreadable
        except DataError as error:
            raise UnreadableRows(self.node.path, self._fetch, wanted, error) from error

    def _nothing(self) -> Found:
        sums = [Sums([0], [0]) for _ in self._constants]
        return Found({}, [[] if self.node.many else None], sums, False, {})

    def _build(self, snapshot: Snapshot, rows: list[Row], bad: Bad) -> Built:
        """The instances of some rows, with what hangs on each."""
        if not rows:
            return Built((), [], [Sums([], []) for _ in self._constants], False)
        columns = list(zip(*rows, strict=True))
        sums = self._own(columns)
        relations: list[list[Any]] = []
        wrong: dict[int, DataError] = {}
        for kid, down in self._kids:
            downs = down(columns)
            found = kid._read(snapshot, downs, bad)
            nothing = len(found.shown) - 1
            entries = list(map(found.entries.get, downs, repeat(nothing)))
            shown = list(map(found.shown.__getitem__, entries))
            for path in found.sums:
                highs = list(map(path.highs.__getitem__, entries))
                sums.append(Sums(highs, list(map(path.lows.__getitem__, entries))))
            if found.failed:
                for place, item in enumerate(shown):
                    if isinstance(item, DataError):
                        wrong.setdefault(place, item)
            if kid.node.many:  # each root gets a list of its own
                shown = [item if isinstance(item, DataError) else item.copy() for item in shown]
            elif found.crowded or not kid.node.optional:
                for place, entry in enumerate(entries):
                    if entry in found.crowded or (entry == nothing and not kid.node.optional):
                        count = found.crowded.get(entry, 0)
                        wrong.setdefault(place, self._wrong(rows[place], kid, downs[place], count))
            relations.append(shown)
        arguments = [*columns[: self._width], *relations]
        if self._order is not None:
            arguments = [arguments[at] for at in self._order]
        made: Callable[..., Any] | None = self.node.cls
        assert made is not None
        instances = list(map(made, *arguments))
        for place, error in wrong.items():
            instances[place] = error
        return Built(columns, instances, sums, bool(wrong))

    def _own(self, columns: Columns) -> list[Sums]:
        """The sums of the rows themselves, one each."""
        if not self._constants:
            return []
        hashes = columns[self._width]
        return [Sums([value >> 32 & MASK31 for value in hashes], [value & MASK31 for value in hashes])]

    def _linked(self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad) -> Found:
        """A link table's rows give what they link to, in its key order; each link once.

        A link to nothing shows nothing, and yet its row counts.
        """
        rows, unreadable = self._rows(snapshot, wanted, bad)
        columns = list(zip(*rows, strict=True)) if rows else [()] * (self._width + 1)
        kid, kid_down = self._kids[0]
        downs = kid_down(columns)
        linked, built = kid._made(snapshot, as_rows(set(downs), len(kid.node.up)), bad, ordered=True)
        places: dict[Any, list[int]] = {}
        for place, value in enumerate(linked):
            places.setdefault(value, []).append(place)
        entries: dict[Any, int] = {}
        links: list[list[int]] = []
        targets: list[list[int]] = []
        for place, (up, down) in enumerate(zip(self._up(columns), downs, strict=True)):
            entry = entries.setdefault(up, len(links))
            if entry == len(links):
                links.append([])
                targets.append([])
            links[entry].append(place)
            targets[entry] += places.get(down, ())
        for group in targets:
            group.sort()
        sums = [*summed(self._own(columns), links), *summed(built.sums, targets)]
        made = Built((), grouped(built, targets), sums, built.failed)
        for value, error in unreadable.items():
            entries[value if len(self.node.up) > 1 else value[0]] = len(made.shown)
            made = failing(made, error)
        return ended(Found(entries, made.shown, made.sums, made.failed, {}), [])

    def _arguments(self) -> list[int] | None:
        """Positions in (columns, relations) for the constructor; None when that is the order already."""
        if self.node.cls is None:
            return None
        columns = {name: at for at, name in enumerate(self.node.table.columns)}
        relations = {kid.node.field: self._width + at for at, (kid, _) in enumerate(self._kids)}
        order = [
            columns[field.name] if isinstance(field, Column) else relations[field.field]
            for field in self.node.fields
        ]
        return None if order == list(range(len(order))) else order

    def _wrong(self, row: Row, kid: Plan, value: Any, count: int) -> DataError:
        node = kid.node
        assert self.node.cls is not None
        parts = (value,) if len(node.up) == 1 else value
        where = ", ".join(f"{name} = {part}" for name, part in zip(node.up, parts, strict=True))
        own = self._row_key(row)
        of = f"{self.node.cls.__name__} {keys.text_of((own,) if len(self.node.table.key) == 1 else own)}"
        if count:
            return DataError(
                f"{of}: {count} rows of {node.table.name} have {where}, and {node.field} takes one",
                f"Annotate {node.field} as a list, or mend the rows.",
            )
        if None in parts:
            null = ", ".join(name for name, part in zip(node.down, parts, strict=True) if part is None)
            return DataError(
                f"{of}: {null} is null, and {node.field} is required",
                f"Annotate {node.field} as optional (… | None), or mend the row.",
            )
        return DataError(
            f"{of}: no row of {node.table.name} has {where}, and {node.field} is required",
            f"Annotate {node.field} as optional (… | None), or mend the row.",
        )
