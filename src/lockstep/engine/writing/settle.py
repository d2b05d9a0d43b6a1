"""Settle: outcomes → what the ledger says from now on. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from lockstep.engine.deriving.derive import Derived
from lockstep.engine.hints.batch import Work
from lockstep.engine.writing.decide import Decision
from lockstep.forms.canonical import canonical, fingerprint, wrap64
from lockstep.state.rows import Failure, Owned, Row
from lockstep.values import Change, Fingerprint, Key, Outcome, Status, Trust, Version


class Settled(Struct, frozen=True):
    """What one key leaves: its new ledger row (None: gone; the old one: untouched), why it is stuck,
    and the target keys it gave up."""

    row: Row | None
    failure: Failure | None
    released: Sequence[Key]


_APPLIED, _UNCHANGED = Status.APPLIED, Status.UNCHANGED


def _true(status: Status) -> bool:
    """Whether the target now holds what was sent. By identity: hashing an enum is a call."""
    return status is _APPLIED or status is _UNCHANGED


def settle(
    derived: Derived,
    before: Row | None,
    known: Mapping[Key, Owned],
    default: Key | None,
    decision: Decision,
    outcomes: Sequence[tuple[Change, Outcome]],
    version: Version,
    wrote_as: bytes,
    work: Work,
    refused: Failure | None = None,
) -> Settled:
    """The ledger row that a key's outcomes make true.

    Only `applied` and `unchanged` make it true. `unknown` and `superseded` void it, and what was sent is
    not known any more; so does a `rejected` one of which some was written. Else `rejected` leaves what was
    known of that target key, and the key is stuck; so it is when a claim was `refused`: then nothing was put.
    `wrote_as` is the hint that wrote, as the ledger keeps it.
    """
    if refused is None and len(outcomes) == 1:  # nearly always: one record at its own key, written
        ((change, outcome),) = outcomes
        done = change.key == default and change.record is not None and _true(outcome.status)
        if done and outcome.held is None and (not known or (len(known) == 1 and default in known)):
            sent = change.meta.fingerprint
            row = Row(derived.key, sent, None, None, derived.sum, version, False, derived.due, wrote_as)
            return Settled(row, None, ())
    owns = dict(decision.owns)
    failure = refused
    if refused is not None:
        owns |= {put.key: known[put.key] for put in decision.puts if put.key in known}
    void = False
    wrote = False
    for change, outcome in outcomes:
        if _true(outcome.status):
            wrote = True
            if change.record is not None:
                owns[change.key] = Owned(change.key, change.meta.fingerprint, _held(change, outcome))
            continue
        if outcome.status is not Status.REJECTED or outcome.partly:
            void = True
            owns[change.key] = Owned(change.key)  # nobody can say what is there in the end
        elif change.key in known:
            owns[change.key] = known[change.key]
        failure = _failure(derived.key, outcome)
    if failure is not None:  # what was in doubt about the target still is
        void = void or work.trust is Trust.TARGET or (before is not None and before.void)
    touched = dict.fromkeys([*known, *(change.key for change, _ in outcomes)])
    released = [key for key in touched if key not in owns]
    if failure is None and derived.root is None and not owns:
        return Settled(None, None, released)
    row = make_row(derived.key, owns, default)
    row = msgspec.structs.replace(
        row,
        sum=derived.sum if failure is None else (before.sum if before else None),
        void=void,
        due=derived.due,
        version=version if wrote or before is None else before.version,
        hint=wrote_as if wrote else (before.hint if before else None),
    )
    return Settled(row, failure, released)


def make_row(key: Key, owns: Mapping[Key, Owned], default: Key | None) -> Row:
    """The row of a key that owns these target records; in the short form where that is enough."""
    if not owns:
        return Row(key)
    if default is not None and len(owns) == 1 and default in owns:
        only = owns[default]
        if only.sent is not None and not only.left:
            return Row(key, only.sent, only.held)
    fingerprints = [item.sent for item in owns.values() if item.sent is not None]
    return Row(key, wrap64(sum(fingerprints)) if fingerprints else None, None, tuple(owns.values()))


def _held(change: Change, outcome: Outcome) -> Fingerprint | None:
    """The fingerprint of what the target now holds, None where that is what was sent."""
    if outcome.held is None:
        return None
    actual = fingerprint(change.key, canonical(outcome.held))
    return None if actual == change.meta.fingerprint else actual


def _failure(key: Key, outcome: Outcome) -> Failure:
    reason = outcome.reason or "no reason given"
    if outcome.status is Status.REJECTED and outcome.again is not None:
        mend = "Nothing to do: it is tried again by itself."
        return Failure(key, "write", f"it waits: {reason}", mend, again=outcome.again)
    if outcome.status is Status.REJECTED:
        return Failure(
            key,
            "write",
            f"the target rejected the record: {reason}",
            "Mend the mapping, the record, or the target's own schema; it is tried again by itself.",
        )
    if outcome.status is Status.SUPERSEDED:
        return Failure(
            key,
            "write",
            f"the target holds a newer version: {reason}",
            "Nothing to do: it is read and written again under a newer epoch.",
        )
    return Failure(
        key, "write", f"the outcome is unknown: {reason}", "Nothing to do: it is read back and tried again."
    )
