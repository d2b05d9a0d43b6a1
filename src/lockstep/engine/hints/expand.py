"""Expand: hints of related tables → root keys, walking the relation backwards over current state.

A changed row's columns before and after both count: a child that moved concerns its old and its new
parent. What happened to the rows between it and the root is hinted by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from lockstep.declaration.shape import Node
from lockstep.forms import keys
from lockstep.ports import Snapshot
from lockstep.values import Fetch, Hint, Key

_CHUNK = 5_000


class Expander:
    """Finds the roots of one shape that a hint concerns."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._trails: dict[str, list[tuple[Node, ...]]] = {}
        for node in root.walk():
            if node is not root:
                self._trails.setdefault(node.table.name, []).append(root.trail(node))

    def concerns(self, table: str) -> bool:
        """Whether some path of the shape, other than the root itself, reads this table."""
        return table in self._trails

    def expand(self, snapshot: Snapshot, hints: Sequence[Hint]) -> Generator[list[Key]]:
        """Root keys, in pages. A key may come more than once."""
        by_table: dict[str, list[Hint]] = {}
        for hint in hints:
            by_table.setdefault(hint.table, []).append(hint)
        for table, group in by_table.items():
            for trail in self._trails.get(table, ()):
                node = trail[-1]
                values = {value for hint in group for value in _values(node, hint)}
                yield from self._climb(snapshot, trail, values)

    def _climb(
        self, snapshot: Snapshot, trail: tuple[Node, ...], values: Iterable[tuple[Any, ...]]
    ) -> Generator[list[Key]]:
        """From values of the last node's `up` columns to the keys of the roots above."""
        node, parent = trail[-1], trail[-2]
        for chunk in _chunks(values):
            if parent is self._root:
                key = parent.table.key
                if set(node.down) == set(key):
                    at = [node.down.index(name) for name in key]
                    yield [keys.encode([value[i] for i in at]) for value in chunk]
                    continue
                fetch = Fetch(parent.table.name, key, node.down)
                for page in snapshot.stream(fetch, chunk):
                    yield [keys.encode(row) for row in page]
                continue
            fetch = Fetch(parent.table.name, parent.up, node.down)
            for page in snapshot.stream(fetch, chunk):
                above = {row for row in map(tuple, page) if None not in row}
                yield from self._climb(snapshot, trail[:-1], above)


def _values(node: Node, hint: Hint) -> Iterator[tuple[Any, ...]]:
    """The values of a node's `up` columns in a changed row, before and after."""
    own: dict[str, Any] = {}
    if hint.key is not None:
        own = dict(zip(node.table.key, keys.decode(hint.key), strict=True))
    images = [image for image in (hint.before, hint.after) if image is not None] or [{}]
    for image in images:
        value = tuple(own[name] if name in own else keys.decode_one(image.get(name)) for name in node.up)
        if None not in value:
            yield value


def _chunks(values: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
