"""Derive: root keys → what the target should hold for each.

For a batch, one set-based read per relation, all in one snapshot. Rows become shapes from the leaves up,
each distinct row once, however many roots share it. Lists are in canonical key order. The source's own
row hashes come with the rows; their sum per root is what the ledger keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import InvalidOperation
from operator import itemgetter
from typing import Any, NamedTuple

from lockstep import keys
from lockstep.canonical import halves, path_constant, tie, wrap64
from lockstep.engine.unreadable import UnreadableRows, Values, blamed
from lockstep.errors import DataError
from lockstep.mapping import Desired, Mapping
from lockstep.model import Column
from lockstep.ports import Reader, Snapshot
from lockstep.shape import Node
from lockstep.values import Fetch, Key

Built = tuple[Any, tuple[int, ...]]
"""A shape (or the DataError that stands for it) and, per path at and below it, the sums of the low and
of the high halves of its rows' hashes: `mix` is linear in them, so a shared row is summed once."""


Bad = dict[str, dict[Values, DataError]]
"""By path, the values whose rows cannot be read."""


class Derived(NamedTuple):
    """What one root means. `sum` is its source sum; `root` is None when the source has no such row."""

    key: Key
    root: Any
    desired: list[Desired]
    sum: int
    due: float | None
    error: DataError | None


class Deriver:
    """Derives for one mapping. Compiled once from its shape."""

    def __init__(self, mapping: Mapping, reader: Reader) -> None:
        self._mapping = mapping
        self._reader = reader
        self._plan = _Plan(mapping.root, ())
        self._constants = [path_constant(node.path) for node in self._plan.nodes]

    def derive(self, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        """One answer for every key. A key that fails has an `error`; it never stops another.

        Raises Unreachable or Refused when the source does not answer.
        """
        if not wanted:
            return {}
        bad: Bad = {}
        while True:
            try:
                with self._reader.snapshot() as snapshot:
                    return self._derive(snapshot, wanted, now, bad)
            except UnreadableRows as failed:  # the next round passes over what cannot be read
                # Together they cannot be read, and each alone can: then nobody says which it was.
                found = blamed(self._reader, failed) or dict.fromkeys(failed.values, failed.error)
                bad = {**bad, failed.path: {**bad.get(failed.path, {}), **found}}

    def roots(self, wanted: Sequence[Key]) -> dict[Key, Any]:
        """The shapes of these roots, without running the mapping; a key may have none."""
        with self._reader.snapshot() as snapshot:
            try:
                return {key: built[0] for key, (built, _) in self._read(snapshot, wanted, {}).items()}
            except UnreadableRows as failed:
                raise failed.error from failed

    def _derive(self, snapshot: Snapshot, wanted: Sequence[Key], now: float, bad: Bad) -> dict[Key, Derived]:
        found = self._read(snapshot, wanted, bad)
        derive = self._mapping.derive
        answers: dict[Key, Derived] = {}
        for key in wanted:
            if key not in found:
                answers[key] = Derived(key, None, [], 0, None, None)
                continue
            (root, sums), key_hash = found[key]
            total = self._total(sums, key_hash)
            if isinstance(root, DataError):
                answers[key] = Derived(key, None, [], total, None, root)
                continue
            try:
                desired, due = derive(root, now)
                answers[key] = Derived(key, root, desired, total, due, None)
            except DataError as error:
                answers[key] = Derived(key, root, [], total, None, error)
        return answers

    def _read(self, snapshot: Snapshot, wanted: Sequence[Key], bad: Bad) -> dict[Key, tuple[Built, int]]:
        plan = self._plan
        rows, unreadable = plan.rows(snapshot, [keys.decode(key) for key in wanted], bad)
        below = [kid.read(snapshot, rows, down, bad) for kid, down in plan.kids]
        found = {keys.encode(plan.key(row)): (plan.build(row, below, row[-2]), row[-1]) for row in rows}
        return found | {keys.encode(value): (built, 0) for value, built in unreadable}

    def _total(self, sums: tuple[int, ...], key_hash: int) -> int:
        total = 0
        at = iter(sums)
        for constant in self._constants:
            low, high = next(at), next(at)
            if low or high:
                total += tie(high, low, halves(key_hash ^ constant))
        return wrap64(total)


def _picker(columns: Sequence[str], names: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """A function from a row of `columns` to the tuple of the named ones."""
    at = [columns.index(name) for name in names]
    if len(at) == 1:
        single = at[0]
        return lambda row: (row[single],)
    return itemgetter(*at)


class _Plan:
    """How to read one node, and how to build its instances."""

    def __init__(self, node: Node, above: tuple[Node, ...]) -> None:
        self.node = node
        columns = node.table.columns
        hashes: tuple[tuple[str, ...], ...] = (columns,)
        if not above:
            hashes = (columns, node.table.key)
        self.fetch = Fetch(node.table.name, columns, node.up if above else node.table.key, hashes)
        self.key = _picker(columns, node.table.key)
        self.up = _picker(columns, node.up) if above else self.key
        self.kids = [(_Plan(child, (*above, node)), _picker(columns, child.down)) for child in node.children]
        self.nodes: list[Node] = [node]
        for kid, _ in self.kids:
            self.nodes.extend(kid.nodes)
        self._nothing = (0,) * (2 * len(self.nodes))
        self._width = [2 * len(kid.nodes) for kid, _ in self.kids]
        self._count = len(columns)
        self._order = self._arguments()

    def _arguments(self) -> list[int] | None:
        """Positions in (columns, relations) for the constructor; None when that is the order already."""
        if self.node.cls is None:
            return None
        columns = {name: at for at, name in enumerate(self.node.table.columns)}
        relations = {kid.node.field: self._count + at for at, (kid, _) in enumerate(self.kids)}
        order = [
            columns[field.name] if isinstance(field, Column) else relations[field.field]
            for field in self.node.fields
        ]
        return None if order == list(range(len(order))) else order

    def read(
        self,
        snapshot: Snapshot,
        parents: Iterable[Sequence[Any]],
        down: Callable[[Sequence[Any]], tuple[Any, ...]],
        bad: Bad,
    ) -> dict[tuple[Any, ...], list[Built]]:
        """Everything at and below this node for these parent rows, by its `up` columns."""
        if self.node.cls is None:
            return self._links(snapshot, parents, down, bad)
        found: dict[tuple[Any, ...], list[Built]] = {}
        for up, built in self._pairs(snapshot, parents, down, bad, ordered=self.node.many):
            found.setdefault(up, []).append(built)
        return found

    def rows(
        self, snapshot: Snapshot, values: Iterable[Values], bad: Bad
    ) -> tuple[list[tuple[Any, ...]], list[tuple[Values, Built]]]:
        """The rows that these values lead to; and, of values whose rows cannot be read, what stands for
        them. Raises UnreadableRows where that is not known yet."""
        wanted = [value for value in dict.fromkeys(values) if None not in value]
        known = bad.get(self.node.path, {})
        unreadable: list[tuple[Values, Built]] = []
        if known:
            unreadable = [(value, (known[value], self._nothing)) for value in wanted if value in known]
            wanted = [value for value in wanted if value not in known]
        if not wanted:
            return [], unreadable
        try:
            return snapshot.rows(self.fetch, wanted), unreadable
        except DataError as error:
            raise UnreadableRows(self.node.path, self.fetch, wanted, error) from error

    def _pairs(
        self,
        snapshot: Snapshot,
        parents: Iterable[Sequence[Any]],
        down: Callable[[Sequence[Any]], tuple[Any, ...]],
        bad: Bad,
        *,
        ordered: bool,
    ) -> list[tuple[tuple[Any, ...], Built]]:
        """(`up` columns, what was built) of every row; `ordered` in key order of the rows."""
        rows, unreadable = self.rows(snapshot, map(down, parents), bad)
        if not rows:
            return unreadable
        below = [kid.read(snapshot, rows, kid_down, bad) for kid, kid_down in self.kids]
        if ordered:
            _sort(rows, self.key)
        up, build = self.up, self.build
        return [(up(row), build(row, below, row[-1])) for row in rows] + unreadable

    def _links(
        self,
        snapshot: Snapshot,
        parents: Iterable[Sequence[Any]],
        down: Callable[[Sequence[Any]], tuple[Any, ...]],
        bad: Bad,
    ) -> dict[tuple[Any, ...], list[Built]]:
        """A link table's rows give what they link to, in its key order; each link once."""
        rows, unreadable = self.rows(snapshot, map(down, parents), bad)
        kid, kid_down = self.kids[0]
        below: dict[tuple[Any, ...], list[tuple[int, Built]]] = {}
        for place, (up, built) in enumerate(kid._pairs(snapshot, rows, kid_down, bad, ordered=True)):
            below.setdefault(up, []).append((place, built))
        found: dict[tuple[Any, ...], list[tuple[int, Built]]] = {}
        for row in rows:
            high, low = halves(row[-1])
            own = (low, high)  # counted once, however many rows it links to
            linked = found.setdefault(self.up(row), [])
            for place, built in below.get(kid_down(row), ()):
                linked.append((place, (built[0], own + built[1])))
                own = (0, 0)
            if own != (0, 0):  # a link to nothing: its row counts, it shows nothing
                linked.append((-1, (_NOTHING, own + (0,) * self._width[0])))
        for value, built in unreadable:
            found[value] = [(-1, built)]
        return {up: [built for _, built in sorted(linked, key=itemgetter(0))] for up, linked in found.items()}

    def build(
        self, row: Sequence[Any], below: list[dict[tuple[Any, ...], list[Built]]], row_hash: int
    ) -> Built:
        """The instance of one row, with what hangs on it."""
        high, low = halves(row_hash)
        sums: tuple[int, ...] = (low, high)
        relations: list[Any] = []
        failed: DataError | None = None
        for at, (kid, down) in enumerate(self.kids):
            items = below[at].get(down(row), ())
            node = kid.node
            if node.many:
                shown = [item[0] for item in items if item[0] is not _NOTHING]
                failed = failed or next((item for item in shown if isinstance(item, DataError)), None)
                relations.append(shown)
                if len(items) == 1:
                    sums += items[0][1]
                elif items:
                    sums += tuple(map(sum, zip(*(item[1] for item in items), strict=True)))
                else:
                    sums += (0,) * self._width[at]
                continue
            if len(items) == 1:
                related, below_sums = items[0]
                if isinstance(related, DataError):
                    failed = failed or related
                relations.append(related)
                sums += below_sums
                continue
            relations.append(None)
            sums += (0,) * self._width[at]
            if items or not node.optional:
                failed = failed or self._wrong(row, kid, down(row), len(items))
        if failed is not None:
            return failed, sums
        arguments = [*row[: self._count], *relations]
        if self._order is not None:
            arguments = [arguments[at] for at in self._order]
        assert self.node.cls is not None
        return self.node.cls(*arguments), sums

    def _wrong(self, row: Sequence[Any], kid: _Plan, value: tuple[Any, ...], count: int) -> DataError:
        node = kid.node
        assert self.node.cls is not None
        where = ", ".join(f"{name} = {part}" for name, part in zip(node.up, value, strict=True))
        of = f"{self.node.cls.__name__} {keys.text_of(self.key(row))}"
        if count:
            return DataError(
                f"{of}: {count} rows of {node.table.name} have {where}, and {node.field} takes one",
                f"Annotate {node.field} as a list, or mend the rows.",
            )
        return DataError(
            f"{of}: no row of {node.table.name} has {where}, and {node.field} is required",
            f"Annotate {node.field} as optional (… | None), or mend the row.",
        )


_NOTHING = object()


def _sort(rows: list[tuple[Any, ...]], key: Callable[[Sequence[Any]], tuple[Any, ...]]) -> None:
    """Sorts rows in key order: Python's own order where it is that, key bytes where it is not."""
    try:
        rows.sort(key=key)
    except (TypeError, InvalidOperation):
        rows.sort(key=lambda row: keys.encode(key(row)))
