"""Suspects: keys that seem to differ, looked at until it is certain what they are.

A change on its way is no divergence. So a suspect is derived, then whatever was on its way at that moment is
waited for, then the target is read, and then it is derived once more: if the source means the same before and
after, the target had every chance to hold it. But it may have meant something else in between, and have been
written so: then its ledger row is another one than before it was derived first, or an intent of it stands. A
key that changes each time it is looked at is counted as moving. Nothing is written, nothing is hinted.

What the ledger says was sent, by a row that stays the same, is as good as a first look at the source: where
the source means just that in the end, nothing else was written since the row was read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

import msgspec

from lockstep.agreement.barrier import Barrier
from lockstep.agreement.doubts import Doubt, doubts
from lockstep.agreement.report import Divergence, Findings
from lockstep.declaration.mapping import Mapping as Declared
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.writing.decide import owned
from lockstep.forms import keys
from lockstep.guard.door import Door
from lockstep.state.rows import Owned, Row
from lockstep.values import Fingerprint, Held, Key

AT_ONCE = 5_000
_ROUNDS = 5

Rows = Callable[[Sequence[Key]], dict[Key, Row]]
"""What the ledger says of source keys."""

Intended = Callable[[], Collection[Key]]
"""The source keys that are being written."""

Meant = Mapping[Key, Fingerprint | None] | None
"""What the source means by a key: fingerprints by target key; None: it cannot be derived."""

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
        self._default_key = lru_cache(2 * AT_ONCE)(mapping.default_key)  # each is asked for several times

    def settle(self, suspects: Suspects) -> set[Key]:
        """Adds what is certain to the findings, in the order of the keys. Returns the source keys on which
        the sides differ, and those that never came to rest."""
        return self._settled(suspects, lambda _: {})

    def settle_keys(self, wanted: Iterable[Key]) -> set[Key]:
        """As `settle`, of keys to which no record is known that says it is from there."""
        return self.settle({key: set() for key in wanted})

    def settle_edited(self, suspects: Suspects) -> set[Key]:
        """As `settle`, of those whose records the target itself says are not as they were written.

        Few of them agree at a first look, so there is none: what the ledger says was sent is what the source
        meant before, if it means that when all is worked. What it does not vouch for is looked at again."""
        return self._settled(suspects, self._sent)

    def _settled(self, suspects: Suspects, seen: Callable[[Suspects], dict[Key, _Seen]]) -> set[Key]:
        wanted = sorted(suspects)
        differing: set[Key] = set()
        for start in range(0, len(wanted), AT_ONCE):
            some = {key: suspects[key] for key in wanted[start : start + AT_ONCE]}
            differing |= self._some(some, seen(some))
        return differing

    def _sent(self, suspects: Suspects) -> dict[Key, _Seen]:
        return {
            key: _Seen(row, {of: item.sent for of, item in self._owned(row).items()})
            for key, row in self._rows(list(suspects)).items()
            if not row.void
        }

    def _some(self, left: dict[Key, set[Key]], before: dict[Key, _Seen]) -> set[Key]:
        """`before`: what was seen of them by now; nothing, where nobody has looked yet."""
        found: dict[Key, tuple[list[Doubt], str | None]] = {}  # and why it could not be waited for it, if so
        waits = self._barrier() if before else None
        for looked in range(_ROUNDS):
            look = self._look(left, before)
            seen: dict[Key, _Seen] = {}
            for key, one in look.derived.items():
                row = look.rows.get(key)
                doubted = list(doubts(self._mapping.name, one, row, self._owned(row), look.held, left[key]))
                meant = _meant(one)
                if not doubted:
                    self._findings.settled += 1
                    self._findings.behind += _behind(one, row)
                elif key not in look.flying and before.get(key) == _Seen(row, meant):
                    found[key] = doubted, waits
                    for item in one.desired:
                        if self._nobodys(look.held.get(item.key)):
                            self._findings.unowned(item.key)
                else:
                    seen[key] = _Seen(look.earlier.get(key), meant)
            left = {key: left[key] for key in seen}
            if not left or (waits is not None and looked):  # at least twice: else nobody knows that it moves
                break
            before = seen
            waits = waits or self._barrier()  # not before the first look: most suspects agree by then
        self._findings.moving += self._findings.doubt(map(keys.text, left))
        for _, (doubted, unwaited) in sorted(found.items(), key=itemgetter(0)):
            for doubt in doubted:
                divergence = doubt.told(fields=doubt.fields() if self._findings.room else ())
                self._findings.add(divergence if unwaited is None else _unsettled(divergence, unwaited))
        return {*found, *left}

    def _look(self, left: Suspects, before: Mapping[Key, _Seen]) -> _Look:
        """At each side once, and at the ledger before and after."""
        wanted = list(left)
        earlier = {} if before else self._rows(wanted)
        now = {} if before else self._derive(wanted)
        asked = self._asked(
            left, before or {key: _Seen(earlier.get(key), _meant(one)) for key, one in now.items()}
        )
        held = self._door.read(list(asked)) if asked else {}
        flying = set(self._intended())  # what was read as it is written has an intent, or another row
        rows = self._rows(wanted)
        if before:  # the source last: what it meant before and means after is what the target should hold
            earlier, now = rows, self._derive(wanted)
        return _Look(earlier, now, held, flying, rows)

    def _asked(self, left: Suspects, seen: Mapping[Key, _Seen]) -> set[Key]:
        """The target keys that these may have to do with."""
        asked: set[Key] = set()
        asked.update(*left.values())
        for one in seen.values():
            asked.update(one.meant or (), self._owned(one.row))
        return asked

    def _nobodys(self, found: Held | None) -> bool:
        """Whether a record is there that no mapping of this target wrote."""
        return found is not None and (found.meta is None or found.meta.mapping not in self._known)

    def _derive(self, wanted: Sequence[Key]) -> dict[Key, Derived]:
        return self._deriver.derive(wanted, time.time())

    def _owned(self, row: Row | None) -> Mapping[Key, Owned]:
        return owned(row, self._default_key)


class _Seen(NamedTuple):
    """What was seen of a source key: its ledger row, and after that what the source meant."""

    row: Row | None
    meant: Meant


class _Look(NamedTuple):
    """One look at some keys. `earlier`: their ledger rows, before they were `derived`. `rows`: those after
    the target was read. `flying`: which were being written then."""

    earlier: Mapping[Key, Row]
    derived: Mapping[Key, Derived]
    held: Mapping[Key, Held]
    flying: set[Key]
    rows: Mapping[Key, Row]


def _meant(one: Derived) -> Meant:
    return None if one.error is not None else {item.key: item.fingerprint for item in one.desired}


def _behind(one: Derived, row: Row | None) -> bool:
    """Whether the ledger has the number of another state of the source, though the records agree."""
    if row is None:
        return one.root is not None
    return row.void or row.sum != one.sum


def _unsettled(one: Divergence, waits: str) -> Divergence:
    reason = f"{waits}: a change of it may be on its way"
    return msgspec.structs.replace(one, kind="unsettled", reason=reason)
