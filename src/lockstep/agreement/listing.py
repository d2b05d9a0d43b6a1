"""Spans on which the two sides do not add up, listed key by key, and who of them is a suspect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lockstep.agreement.report import Divergence
from lockstep.agreement.scope import Scope
from lockstep.agreement.suspects import Suspects
from lockstep.agreement.walk import target_records
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.writing.decide import owned
from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.ports import SummingSnapshot
from lockstep.state.rows import Row
from lockstep.values import Branch, Key, Mark, Span

READ = 20_000
"""Up to so many keys are read by key where they differ; more are listed by the source's own sums."""

LISTED = 50_000
"""Keys that are listed together, about: what a listing has in memory."""

_PAGE = 5_000


class Listing:
    """Of one mapping. Each side is listed by itself where it can, else read."""

    def __init__(self, scope: Scope, root: Branch, deriver: Deriver) -> None:
        self._scope = scope
        self._mapping = scope.mapping
        self._root = root
        self._deriver = deriver

    def suspects(self, span: Span, known: int, *, by_source: bool, by_target: bool) -> Suspects:
        """The keys of a span on which a side does not say what the ledger says. `known`: about how many keys
        that are."""
        rows = self._rows(span)
        suspects: dict[Key, set[Key]] = {key: set() for key, row in rows.items() if row.void}
        if by_source:
            for key in self._differing_source(rows, span, known):
                suspects.setdefault(key, set())
        if by_target:
            for key, at in self._differing_target(rows, span):
                suspects.setdefault(key, set()).update(at)
        return suspects

    def _rows(self, span: Span) -> dict[Key, Row]:
        """What the ledger says. A row whose key is none is a finding at once."""
        rows = {row.key: row for page in self._scope.ledger.rows(span, _PAGE) for row in page}
        for key in [key for key in rows if not keys.readable(key)]:
            del rows[key]
            reason = "a row of the ledger has a key that is none: it was damaged"
            self._scope.findings.add(Divergence("ledger", keys.text(key), None, reason=reason))
        return rows

    def _differing_source(self, rows: Mapping[Key, Row], span: Span, known: int) -> Iterator[Key]:
        """Keys of which the source has another number than the ledger, or which one of both lacks."""
        missing = set(rows)
        for numbers in self.numbers(span, known):
            for key, number in numbers:
                row = rows.get(key)
                missing.discard(key)
                if row is None or row.sum != number:
                    yield key
        yield from missing

    def _differing_target(self, rows: Mapping[Key, Row], span: Span) -> Iterator[tuple[Key, tuple[Key, ...]]]:
        """Keys of which the target has another record than the ledger says, with where; or lacks one."""
        default = self._mapping.default_key
        sent = {
            (key, item.key): item.sent for key, row in rows.items() for item in owned(row, default).values()
        }
        for marks in self.marks(span):
            for mark in marks:
                if sent.pop((mark.meta.key, mark.key), None) != mark.meta.fingerprint:
                    yield mark.meta.key, (mark.key,)
        for key, _ in sent:
            yield key, ()

    def numbers(self, span: Span, known: int) -> Iterator[list[tuple[Key, int]]]:
        if known > READ:
            with self._scope.reader.snapshot() as snapshot:
                if isinstance(snapshot, SummingSnapshot):
                    try:
                        yield from snapshot.numbers(self._root, span)
                    except CannotSum:
                        pass
                    else:
                        return
        yield from self.numbers_read(span)

    def marks(self, span: Span) -> Iterator[list[Mark]]:
        try:
            yield from self._scope.door.marks(self._mapping.name, span)
        except CannotSum:
            yield from self.marks_read(span)

    def numbers_read(self, span: Span) -> Iterator[list[tuple[Key, int]]]:
        """The number of every root in a span, by reading its rows."""
        left: Span | None = span
        while left is not None:
            with self._scope.reader.snapshot() as snapshot:
                page = snapshot.keys(self._mapping.root.table, left, _PAGE)
            yield [(key, number) for key, number in self._deriver.numbers(page.keys).items()]
            left = page.rest

    def marks_read(self, span: Span) -> Iterator[list[Mark]]:
        """What records say of themselves, by reading all of the target."""
        for page in target_records(self._scope.door, _PAGE):
            yield [
                Mark(held.key, held.meta)
                for held in page
                if held.meta is not None
                and held.meta.mapping == self._mapping.name
                and _in(span, held.meta.key)
            ]


def _in(span: Span, key: Key) -> bool:
    return (span.after is None or key > span.after) and (span.upto is None or key <= span.upto)
