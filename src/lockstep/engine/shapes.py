"""Rows → shapes: each table of a shape is read once for many parents, and built column by column.

Work done row by row in Python costs more than all that the source does. So what comes is turned into columns
once, what hangs on a row is found for all rows at a time, and instances are made by `map` over columns: each
distinct row once, however many roots share it. Lists are in canonical key order.

The source's own row hashes travel with the rows as sums of their halves, a pair of columns for each path:
`mix` is linear in them, so a shared row is summed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

from lockstep import keys
from lockstep.canonical import MASK31, halves, path_constant, wrap64
from lockstep.engine.unreadable import Bad, UnreadableRows
from lockstep.errors import DataError
from lockstep.model import Column
from lockstep.ports import Snapshot
from lockstep.shape import Node
from lockstep.values import Fetch

Row = tuple[Any, ...]
Columns = Sequence[Sequence[Any]]
Values = Sequence[Any]
"""One value per row: of a column as it is, of several columns their tuple."""


class Sums(NamedTuple):
    """Of one path: the sums of the high and of the low halves of its rows' hashes, per entry."""

    highs: list[int]
    lows: list[int]


class Built(NamedTuple):
    """The rows of one table as instances, a DataError standing for one that cannot be. `sums`: one for
    the table itself and for every path below."""

    columns: Columns
    shown: list[Any]
    sums: list[Sums]
    failed: bool


class Found(NamedTuple):
    """What hangs on the parents, by the value that leads there. The last entry stands for nothing there.

    An entry shows an instance, or all of a list. `crowded`: entries where one row should be and more are.
    """

    entries: dict[Any, int]
    shown: list[Any]
    sums: list[Sums]
    failed: bool
    crowded: dict[int, int]


class Roots(NamedTuple):
    """The roots that were found: the values of their key columns, their shapes, their source sums."""

    values: list[Row]
    shown: list[Any]
    sums: list[int]


class Plan:
    """How to read one node of a shape for given parents, and how to build its instances."""

    def __init__(self, node: Node, *, root: bool = False) -> None:
        self.node = node
        columns = node.table.columns
        hashes = (columns, node.table.key) if root else (columns,)
        up = node.table.key if root else node.up
        self._fetch = Fetch(node.table.name, columns, up, hashes)
        self._key = _of_columns(columns, node.table.key)
        self._row_key = itemgetter(*map(columns.index, node.table.key))
        self._up = _of_columns(columns, up)
        self._kids = [(Plan(child), _of_columns(columns, child.down)) for child in node.children]
        self._width = len(columns)
        self._order = self._arguments()
        self._constants = [halves(path_constant(below.path)) for below in node.walk()]

    def roots(self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad) -> Roots:
        """The roots that have these key values; of those that cannot be read, the reason."""
        rows, unreadable = self._rows(snapshot, wanted, bad)
        values, errors = list(unreadable), list(unreadable.values())
        if not rows:
            return Roots(values, errors, [0] * len(errors))
        built = self._build(snapshot, rows, bad)
        own = self._key(built.columns)
        found = [(value,) for value in own] if len(self.node.table.key) == 1 else list(own)
        sums = self._totals(built.sums, built.columns[self._width + 1])
        return Roots(found + values, built.shown + errors, sums + [0] * len(errors))

    def _totals(self, sums: list[Sums], key_hashes: Sequence[int]) -> list[int]:
        """Per root the sum over all paths of `mix(row, root ^ path)`: see `canonical.mix`."""
        highs = [key_hash >> 32 & MASK31 for key_hash in key_hashes]
        lows = [key_hash & MASK31 for key_hash in key_hashes]
        totals = [0] * len(key_hashes)
        for (path_high, path_low), path in zip(self._constants, sums, strict=True):
            totals = [
                total + (high ^ path_high) * row_low + (low ^ path_low) * row_high
                for total, high, low, row_high, row_low in zip(
                    totals, highs, lows, path.highs, path.lows, strict=True
                )
            ]
        return list(map(wrap64, totals))

    def _read(self, snapshot: Snapshot, downs: Values, bad: Bad) -> Found:
        """What hangs on parents, by the values that their `down` columns have."""
        wanted = _as_rows(set(downs), len(self.node.up))
        if self.node.cls is None:
            return self._linked(snapshot, wanted, bad)
        ups, built = self._made(snapshot, wanted, bad, ordered=self.node.many)
        if not ups:
            return self._nothing()
        return (_listed if self.node.many else _single)(ups, built)

    def _made(
        self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad, *, ordered: bool
    ) -> tuple[list[Any], Built]:
        """What was built of the rows that these values lead to, and by which value each is found;
        `ordered` in key order of the rows."""
        rows, unreadable = self._rows(snapshot, wanted, bad)
        if ordered:
            _sort(rows, self._row_key)
        built = self._build(snapshot, rows, bad)
        ups = list(self._up(built.columns)) if rows else []
        for value, error in unreadable.items():
            ups.append(value if len(self.node.up) > 1 else value[0])
            built = _failing(built, error)
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
        hashes = columns[self._width]
        sums = [Sums([value >> 32 & MASK31 for value in hashes], [value & MASK31 for value in hashes])]
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

    def _linked(self, snapshot: Snapshot, wanted: Sequence[Row], bad: Bad) -> Found:
        """A link table's rows give what they link to, in its key order; each link once.

        A link to nothing shows nothing, and yet its row counts.
        """
        rows, unreadable = self._rows(snapshot, wanted, bad)
        columns = list(zip(*rows, strict=True)) if rows else [()] * (self._width + 1)
        kid, kid_down = self._kids[0]
        downs = kid_down(columns)
        linked, built = kid._made(snapshot, _as_rows(set(downs), len(kid.node.up)), bad, ordered=True)
        places: dict[Any, list[int]] = {}
        for place, value in enumerate(linked):
            places.setdefault(value, []).append(place)
        entries: dict[Any, int] = {}
        own: list[tuple[int, int]] = []
        targets: list[list[int]] = []
        for up, down, row_hash in zip(self._up(columns), downs, columns[self._width], strict=True):
            entry = entries.setdefault(up, len(own))
            if entry == len(own):
                own.append((0, 0))
                targets.append([])
            high, low = halves(row_hash)
            own[entry] = (own[entry][0] + high, own[entry][1] + low)
            targets[entry] += places.get(down, ())
        for group in targets:
            group.sort()
        sums = [Sums([high for high, _ in own], [low for _, low in own]), *_summed(built.sums, targets)]
        made = Built((), _grouped(built, targets), sums, built.failed)
        for value, error in unreadable.items():
            entries[value if len(self.node.up) > 1 else value[0]] = len(made.shown)
            made = _failing(made, error)
        return _ended(Found(entries, made.shown, made.sums, made.failed, {}), [])

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


def _of_columns(columns: Sequence[str], names: Sequence[str]) -> Callable[[Columns], Values]:
    """A function from all columns to the values of the named ones."""
    at = [columns.index(name) for name in names]
    if len(at) == 1:
        place = at[0]
        return lambda found: _equal(found[place])
    return lambda found: list(zip(*(_equal(found[place]) for place in at), strict=True))


_NAN = Decimal("NaN")


def _equal(column: Sequence[Any]) -> Sequence[Any]:
    """A column whose values equal each other as they do in a database and as keys do: NaN is equal to NaN,
    and a float to the number of its shortest text."""
    first = next((value for value in column if value is not None), None)
    if type(first) is not float and type(first) is not Decimal:
        return column
    exact = [Decimal(repr(value)) if type(value) is float else value for value in column]
    return [_NAN if value != value else value for value in exact]


def _as_rows(values: set[Any], width: int) -> list[Row]:
    """Values as a read takes them; null leads nowhere."""
    if width == 1:
        return [(value,) for value in values if value is not None]
    return [value for value in values if None not in value]


def _failing(built: Built, error: DataError) -> Built:
    """With one entry more: an error, whose rows do not count."""
    built.shown.append(error)
    for path in built.sums:
        path.highs.append(0)
        path.lows.append(0)
    return built._replace(failed=True)


def _single(ups: Values, built: Built) -> Found:
    """Entries of one row each."""
    entries = {value: place for place, value in enumerate(ups)}
    found = Found(entries, built.shown, built.sums, built.failed, {})
    if len(entries) < len(ups):
        for value, count in Counter(ups).items():
            if count > 1:
                entry = entries[value]
                found.crowded[entry] = count
                found.shown[entry] = None
                for path in found.sums:
                    path.highs[entry] = path.lows[entry] = 0
    return _ended(found, None)


def _listed(ups: Values, built: Built) -> Found:
    """Entries of all rows that have one value, in their order."""
    entries: dict[Any, int] = {}
    groups: list[list[int]] = []
    for place, value in enumerate(ups):
        entry = entries.setdefault(value, len(groups))
        if entry == len(groups):
            groups.append([place])
        else:
            groups[entry].append(place)
    found = Found(entries, _grouped(built, groups), _summed(built.sums, groups), built.failed, {})
    return _ended(found, [])


def _grouped(built: Built, groups: list[list[int]]) -> list[Any]:
    """The list that each group shows, or the first error in it."""
    lists: list[Any] = [[built.shown[place] for place in group] for group in groups]
    if built.failed:
        for at, shown in enumerate(lists):
            lists[at] = next((item for item in shown if isinstance(item, DataError)), shown)
    return lists


def _summed(sums: list[Sums], groups: list[list[int]]) -> list[Sums]:
    return [
        Sums(
            [sum(map(path.highs.__getitem__, group)) for group in groups],
            [sum(map(path.lows.__getitem__, group)) for group in groups],
        )
        for path in sums
    ]


def _ended(found: Found, nothing: Any) -> Found:
    """With the last entry, for what has nothing there."""
    found.shown.append(nothing)
    for path in found.sums:
        path.highs.append(0)
        path.lows.append(0)
    return found


def _sort(rows: list[Row], key: Callable[[Row], Any]) -> None:
    """Sorts rows in key order: Python's own order where it is that, key bytes where it is not."""
    first = key(rows[0]) if rows else None
    try:
        if float in map(type, first if isinstance(first, tuple) else (first,)):
            raise TypeError("NaN has no place among floats")
        rows.sort(key=key)
    except (TypeError, InvalidOperation):
        rows.sort(key=lambda row: keys.encode(one if isinstance(one := key(row), tuple) else (one,)))
