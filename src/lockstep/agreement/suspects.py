"""Suspects: keys that seem to differ, looked at until it is certain what they are.

A change on its way is no divergence. So a suspect is derived, then whatever was on its way at that moment is
waited for, then the target is read, and then it is derived once more: if the source means the same before and
after, the target had every chance to hold it. But it may have meant something else in between, and have been
written so: then its ledger row is another one, or an intent of it stands. A key that changes each time it is
looked at is counted as moving. Nothing is written, nothing is hinted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from lockstep.agreement.barrier import Barrier
from lockstep.agreement.fields import FieldDiff, diff
from lockstep.agreement.report import COPY, Divergence, Findings
from lockstep.declaration.mapping import Desired
from lockstep.declaration.mapping import Mapping as Declared
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.writing.decide import owned
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.guard.door import Door
from lockstep.state.rows import Owned, Row
from lockstep.values import Held, Key, Record

AT_ONCE = 5_000
_ROUNDS = 5

Rows = Callable[[Sequence[Key]], dict[Key, Row]]
"""What the ledger says of source keys."""

Intended = Callable[[], Collection[Key]]
"""The source keys that are being written."""

Suspects = Mapping[Key, set[Key]]
"""Source keys, each with target keys at which a record says that it is from there."""


class Settler:
    """Settles the suspects of one mapping."""

    def __init__(
        self,
        mapping: Declared,
        deriver: Deriver,
        door: Door,
        rows: Rows,
        intended: Intended,
        barrier: Barrier,
        findings: Findings,
        sharing: Collection[str],
    ) -> None:
        self._mapping = mapping
        self._deriver = deriver
        self._door = door
        self._rows = rows
        self._intended = intended
        self._barrier = barrier
        self._findings = findings
        self._known = {mapping.name, *sharing}

    def settle(self, suspects: Suspects) -> set[Key]:
        """Adds what is certain to the findings, in the order of the keys. Returns the source keys on which
        the sides differ, and those that never came to rest."""
        wanted = sorted(suspects)
        differing: set[Key] = set()
        for start in range(0, len(wanted), AT_ONCE):
            differing |= self._some({key: suspects[key] for key in wanted[start : start + AT_ONCE]})
        return differing

    def _some(self, suspects: Suspects) -> set[Key]:
        left = dict(suspects)
        found: dict[Key, list[_Doubt]] = {}
        now = self._deriver.derive(list(left), time.time())
        before: dict[Key, Derived] = {}
        settled: dict[Key, Row] = {}
        waits: str | None = None
        for _ in range(_ROUNDS):
            held = self._held(now, self._rows(list(left)), left)
            flying = set(self._intended())  # what was read as it is written has an intent, or another row
            rows = self._rows(list(left))
            if before:
                now = self._deriver.derive(list(left), time.time())
            judged = {key: list(self._judge(one, rows.get(key), held, left[key])) for key, one in now.items()}
            for key, one in now.items():
                if not judged[key]:
                    self._findings.settled += 1
                    self._findings.behind += _behind(one, rows.get(key))
                elif (
                    key in before
                    and key not in flying
                    and rows.get(key) == settled.get(key)
                    and _same(before[key], one)
                ):
                    found[key] = judged[key]
                    for item in one.desired:
                        if self._nobodys(held.get(item.key)):
                            self._findings.unowned(item.key)
                else:
                    continue
                del left[key]
            if not left or waits is not None:
                break
            before = now = {key: now[key] for key in left}
            settled = rows
            waits = self._barrier()  # not before the first look: most suspects agree by then
        self._findings.moving += len(left)
        for key in sorted(found):
            for doubt in found[key]:
                divergence = doubt.told(fields=doubt.fields() if self._findings.room else ())
                self._findings.add(divergence if waits is None else _unsettled(divergence, waits))
        return {*found, *left}

    def _held(
        self, derived: Mapping[Key, Derived], rows: Mapping[Key, Row], left: Suspects
    ) -> dict[Key, Held]:
        """What the target holds of all that these keys may have to do with."""
        wanted: set[Key] = set()
        for key, one in derived.items():
            wanted.update(item.key for item in one.desired)
            wanted.update(owned(rows.get(key), self._mapping.default_key))
            wanted.update(left[key])
        return self._door.read(list(wanted)) if wanted else {}

    def _judge(
        self, one: Derived, row: Row | None, held: Mapping[Key, Held], seen: set[Key]
    ) -> Iterator[_Doubt]:
        if one.error is not None:
            yield _Doubt("failed", one.key, None, str(one.error))
            return
        known = owned(row, self._mapping.default_key)
        wanted = {item.key: item for item in one.desired}
        agrees = True
        for target_key, item in wanted.items():
            found = held.get(target_key)
            doubt = self._differs(one, item, found, known.get(target_key))
            if doubt is not None:
                agrees = False
                yield doubt
        for target_key in {*known, *seen}.difference(wanted):
            found = held.get(target_key)
            if found is not None and self._mine(one.key, found):
                agrees = False
                yield _Doubt("extra", one.key, target_key, remove=target_key)
            elif found is not None and found.meta is None and target_key in seen:
                agrees = False
                yield _Doubt("extra", None, target_key, COPY, remove=target_key)
        if agrees and (row is None or not row.void):
            said = {key: item.sent for key, item in known.items()}
            if said != {key: item.fingerprint for key, item in wanted.items()}:
                reason = (
                    "the ledger says something else was written" if said else "the ledger does not know it"
                )
                yield _Doubt("ledger", one.key, None, reason)

    def _differs(self, one: Derived, item: Desired, found: Held | None, known: Owned | None) -> _Doubt | None:
        sent = known is not None and known.sent == item.fingerprint
        if found is None:
            return _Doubt("missing", one.key, item.key, sent=sent)
        actual = fingerprint(item.key, canonical(found.record))
        records = item.record, found.record
        if not self._mine(one.key, found):
            reason = "it does not say it is from here"
            if known is not None and known.left:
                reason = "it differed when it was taken over, and was left"
            return _Doubt("different", one.key, item.key, reason, sent, records, _differing)
        meta = found.meta
        assert meta is not None
        if actual == item.fingerprint:
            if meta.fingerprint == item.fingerprint:
                return None
            reason = "it carries another record's fingerprint"
            return _Doubt("different", one.key, item.key, reason, sent)
        if known is not None and sent and known.held == actual:
            return None  # sent as it is derived now; the target made this of it
        intact = actual == meta.fingerprint or (known is not None and known.held == actual)
        kind = "stale" if intact and meta.sum != one.sum else "different"
        return _Doubt(kind, one.key, item.key, sent=sent, records=records)

    def _nobodys(self, found: Held | None) -> bool:
        """Whether a record is there that no mapping of this target wrote."""
        return found is not None and (found.meta is None or found.meta.mapping not in self._known)

    def _mine(self, key: Key, found: Held) -> bool:
        return found.meta is not None and (found.meta.mapping, found.meta.key) == (self._mapping.name, key)


class _Doubt(NamedTuple):
    """What may be a divergence: made into one, with its fields, once it is certain.

    source   None: somebody copied it
    records  as the source means it and as the target holds it, for `differ` to say in which fields they are
             not alike; None: that says nothing
    remove   the target key of a record that should not be there
    """

    kind: str
    source: Key | None
    at: Key | None
    reason: str | None = None
    sent: bool = False
    records: tuple[Record, Record] | None = None
    differ: Callable[[Record, Record], list[FieldDiff]] = diff
    remove: Key | None = None

    def fields(self) -> tuple[FieldDiff, ...]:
        """Where the records differ. Costs more than all that led here: for those that are shown."""
        return () if self.records is None else tuple(self.differ(*self.records))

    def told(self, fields: tuple[FieldDiff, ...]) -> Divergence:
        return Divergence(
            self.kind,
            None if self.source is None else keys.text(self.source),
            None if self.at is None else keys.text(self.at),
            fields,
            reason=self.reason,
            sent=self.sent,
            target=self.remove,
            source=self.source,
        )


def _differing(expected: Record, actual: Record) -> list[FieldDiff]:
    """Of a record that is not ours: it may have columns that the mapping does not name."""
    named = {name: value for name, value in actual.items() if name in expected}
    return diff(expected, named) or diff(expected, actual)


def _same(before: Derived, after: Derived) -> bool:
    """Whether the source meant the same at both looks."""
    if before.error is not None or after.error is not None:
        return before.error is not None and after.error is not None
    return {item.key: item.fingerprint for item in before.desired} == {
        item.key: item.fingerprint for item in after.desired
    }


def _behind(one: Derived, row: Row | None) -> bool:
    """Whether the ledger has the number of another state of the source, though the records agree."""
    if row is None:
        return one.root is not None
    return row.void or row.sum != one.sum


def _unsettled(one: Divergence, waits: str) -> Divergence:
    reason = f"{waits}: a change of it may be on its way"
    return msgspec.structs.replace(one, kind="unsettled", reason=reason)
