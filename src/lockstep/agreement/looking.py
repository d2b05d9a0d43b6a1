"""What was derived of some keys, compared field by field with what the target holds of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lockstep.agreement.met import Met, Record, met_in
from lockstep.agreement.suspects import Rows
from lockstep.declaration.mapping import Mapping as Declared
from lockstep.engine.deriving.derive import Derived
from lockstep.engine.writing.decide import owned
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.guard.door import Door
from lockstep.state.rows import Row
from lockstep.values import Held, Key


class Looked(NamedTuple):
    """At some keys. `suspects`: on which the sides do not agree at first sight; `compared`: how many records
    were; `met`: of these, those that the target holds as from these keys, by their spans."""

    suspects: list[Key]
    compared: int
    met: dict[int, Met]


class Found(NamedTuple):
    """What the target and the ledger hold of some keys."""

    held: Mapping[Key, Held]
    rows: Mapping[Key, Row]


class Comparison:
    """Of one mapping: the source with the target, and the ledger with both. `cuts`: between spans of source
    keys."""

    def __init__(self, mapping: Declared, door: Door, rows: Rows, cuts: Sequence[Key] = ()) -> None:
        self._mapping = mapping
        self._door = door
        self._rows = rows
        self._cuts = cuts

    def read(self, derived: Mapping[Key, Derived]) -> Found:
        """What there is of what was derived."""
        wanted = [item.key for one in derived.values() for item in one.desired]
        return Found(self._door.read(wanted) if wanted else {}, self._rows(list(derived)))

    def look(self, derived: Mapping[Key, Derived], found: Found) -> Looked:
        held, rows = found
        met = []
        for key, one in derived.items():
            for item in one.desired:
                there = held.get(item.key)
                if there is not None and there.meta is not None and self._from(key, there):
                    met.append(Record(item.key, key, there.meta.fingerprint))
        suspects = [key for key, one in derived.items() if not self._agrees(one, held, rows.get(key))]
        return Looked(suspects, sum(len(one.desired) for one in derived.values()), met_in(self._cuts, met))

    def _agrees(self, one: Derived, held: Mapping[Key, Held], row: Row | None) -> bool:
        """Whether source and target agree on a key, and the ledger with them.

        What a target that normalises made of a record is known from the ledger alone.
        """
        if one.error is not None:
            return False
        known = owned(row, self._default_key(one))
        if len(known) != len(one.desired) and (row is None or not row.void):
            return False
        for item in one.desired:
            found = held.get(item.key)
            if found is None or not self._from(one.key, found):
                return False
            actual = fingerprint(item.key, canonical(found.record))
            sent = known.get(item.key)
            said = sent is not None and sent.sent == item.fingerprint
            if actual != item.fingerprint and not (said and sent is not None and sent.held == actual):
                return False
            if not said and (row is None or not row.void):
                return False
        return True

    def _default_key(self, one: Derived) -> Callable[[Key], Key]:
        """As the mapping's, which need not be asked where the record derived has that key by declaration."""
        if self._mapping.key_is_root_key and one.desired:
            return lambda _: one.desired[0].key
        return self._mapping.default_key

    def _from(self, key: Key, held: Held) -> bool:
        """Whether a record says that it is from this source key."""
        return held.meta is not None and (held.meta.mapping, held.meta.key) == (self._mapping.name, key)
