"""Recode: a mapping whose records mean something else than the ledger says, and what is done about it.

Few records are derived again in place at once: so it is in the first hour with a pipeline, and does no harm.
With more, a person decides: in place readers would see both meanings for as long as that takes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from lockstep.declaration.mapping import Mapping as Declared
from lockstep.engine.hints.addressed import everything
from lockstep.engine.holds.asking import Asking
from lockstep.engine.holds.sample import Changed, changed_meaning, passing_over
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.opening import door_to
from lockstep.errors import LockstepError
from lockstep.forms import keys
from lockstep.forms.canonical import canonical
from lockstep.guard.policies import ChangedMapping, Closed
from lockstep.guard.policy import HeldBack
from lockstep.limits import Numbers
from lockstep.ports import Reader
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Record, Trust

log = logging.getLogger("lockstep")


class Recode(NamedTuple):
    """All records of a mapping are to be derived again by other code. `why`: in words; `code`: its version
    and recipe; `held`: what a person is asked before, None where nobody need be."""

    why: str
    code: Mapping[str, Any]
    held: HeldBack | None = None


class Recoding:
    """Whether a mapping means something else than the ledger says: its own thread finds out, as that runs the
    mapping, and neither capture nor a neighbour may wait for it.

    `spanned`: a pass over all keys is hinted in any case. Made before that is noted, as what the ledger says
    is of both codes while a pass is under way.
    """

    def __init__(
        self, mapping: Declared, consumer: Consumer, recipe: str, store: Store, lease: Lease, *, spanned: bool
    ) -> None:
        self._mapping, self._consumer, self._store, self._lease = mapping, consumer, store, lease
        self._code: dict[str, Any] = {"version": mapping.version, "recipe": recipe}
        self._columns = consumer.recipe != recipe
        self._spanned = spanned
        held_before = any(one.policy == ChangedMapping.name for one in store.holds.of(consumer.id))
        self._sampled = held_before or not passing_over(consumer, store)

    def find(self, reader: Reader) -> Recode | None:
        """What a person must be asked first; None where the mapping means the same, or all its keys are
        hinted by now. Raises Unreachable or Refused."""
        found = self._found(reader)
        if found is None or found.held is not None:
            return found
        if self._spanned:
            self._lease.under(
                partial(self._store.generations.set_consumer, consumer=self._consumer.id, **self._code)
            )
        else:
            log.info("mapping %s: all keys are derived: %s", self._mapping.name, found.why)
            derive_again(self._store, self._lease, self._consumer, found.why, self._code)
        return None

    def _found(self, reader: Reader) -> Recode | None:
        mapping, consumer, store = self._mapping, self._consumer, self._store
        changed = None
        if self._sampled:
            changed = changed_meaning(mapping, consumer, store, reader, other_columns=self._columns)
        if changed is None:
            declared = self._columns or consumer.version != mapping.version
            return Recode("mapping changed", self._code) if declared else None
        numbers = Numbers(known=store.ledger.count(consumer.id), tried=changed.tried, failed=changed.differ)
        verdict = ChangedMapping().judge(numbers, mapping.guard)
        key = keys.text(changed.first.key)
        why = f"key {key} is as it was and means something else now: the code has changed"
        reason = verdict.reason
        if self._columns:
            why = f"key {key} means something else than was written: the code has changed, or its rows have"
            reason = _either(numbers)
        if verdict.go:
            return Recode(why, self._code)
        fields = _fields(mapping, consumer, changed, store)
        said = (
            f"{reason}, such as key {key} ({fields}). `lockstep deploy {mapping.name}` "
            "builds a new copy beside it, so that nobody sees both; approved, it is derived in place"
        )
        held = HeldBack(ChangedMapping.name, verdict._replace(reason=said), numbers)
        return Recode(why, self._code, held)


def _either(numbers: Numbers) -> str:
    """Of keys of which nobody can say whether they are as they were."""
    return (
        "the code has changed, or their rows have (nobody can say which, as the ledger's sums are of other "
        f"columns, or made in another way): {numbers.failed:,} of {numbers.tried:,} keys mean something else "
        "than was written"
    )


def _fields(mapping: Declared, consumer: Consumer, changed: Changed, store: Store) -> str:
    """What differs of one record, by name."""
    one = changed.first
    if one.error is not None:
        return f"it cannot be derived: {one.error}"
    if {item.key for item in one.desired} != set(changed.before):
        return "it has other target keys"
    try:
        door = door_to(mapping.target, consumer.number, store, policies=(Closed(),))
        try:
            held = door.read(list(changed.before))
        finally:
            door.close()
    except LockstepError:
        return "its target does not answer, to compare"
    names = {
        name
        for item in one.desired
        if item.key in held
        for name in _differing(held[item.key].record, item.record)
    }
    return f"fields {', '.join(sorted(names))}" if names else "its record"


def _differing(held: Record, derived: Record) -> set[str]:
    return {
        name
        for name in {*held, *derived}
        if (name in held) != (name in derived)
        or canonical({"value": held[name]}) != canonical({"value": derived[name]})
    }


def allowed(store: Store, lease: Lease, asking: Asking, consumer: Consumer, recoded: Recode) -> bool:
    """Whether a person has approved it; then all keys are hinted, and the ledger's code is this one. Asks
    where nobody was asked yet."""
    hold = asking.stands(ChangedMapping.name)
    if hold is None and recoded.held is not None:
        asking.ask(recoded.held)
    if hold is None or hold.state != "approved":
        return False
    derive_again(store, lease, consumer, f"mapping changed (hold {hold.id})", recoded.code)
    return True


def derive_again(
    store: Store, lease: Lease, consumer: Consumer, reason: str, code: Mapping[str, Any]
) -> None:
    """Hints all keys, notes so, and that the ledger is of this code from now on."""
    store.journal.append([everything(consumer.id, "", Trust.LEDGER)])
    passing("hinted")
    known = store.ledger.count(consumer.id)
    lease.under(partial(store.backfills.begin, consumer=consumer.id, reason=reason, total=known))
    lease.under(partial(store.generations.set_consumer, consumer=consumer.id, **code))
