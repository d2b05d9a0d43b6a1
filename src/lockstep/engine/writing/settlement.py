"""What the ledger is told of one part of a batch: how each key of it is settled, in one. Pure."""

from __future__ import annotations

import msgspec

from lockstep.declaration.mapping import Mapping
from lockstep.engine.deriving.derive import Derived
from lockstep.engine.hints.batch import Work
from lockstep.engine.writing.apply import Sent
from lockstep.engine.writing.inflight import Part
from lockstep.engine.writing.settle import settle
from lockstep.state.rows import Failure, Row, Settlement, Wrote, encode_wrote
from lockstep.values import Key, Trust

_PASSES = frozenset({"backfill", "redrive"})
"""Reasons of hints that make up a pass, whose progress is shown."""


def settlement(mapping: Mapping, consumer: int, part: Part, sent: Sent) -> Settlement:
    """Of all keys that were derived: rows that changed or are gone, why some are stuck, which are not, and
    what target keys were given up."""
    batch, rows, derived = part.batch, part.rows, part.derived
    changed: list[Row] = []
    removed: list[Key] = []
    came: list[Key] = []
    cleared: list[Key] = []
    released: list[tuple[Key, Key]] = []
    failures = _underived(part, changed)
    wrote_as, outcomes = _Wrote(part.now), sent.by_key()
    for key, decision in part.decisions.items():
        before, one, work = rows.get(key), derived[key], batch.works[key]
        result = settle(
            one,
            before,
            part.known[key],
            _default(mapping, one),
            decision,
            outcomes.get(key, ()),
            part.version,
            wrote_as(work),
            work,
            sent.sending.refused.get(key),
        )
        if result.failure is not None:
            failures.append(result.failure)
        else:
            cleared.append(key)
        if result.row is None:
            if before is not None:
                removed.append(key)
        elif result.row != before:
            changed.append(result.row)
            if before is None:
                came.append(key)
        if result.released:
            released.extend((target_key, key) for target_key in result.released)
    return Settlement(
        consumer,
        part.version,
        changed,
        removed,
        failures,
        cleared,
        released,
        batch.positions if part.last else {},
        _passed(part),
        came,
    )


def _passed(part: Part) -> int:
    """How many keys a pass has got on by."""
    works = part.batch.works
    return sum(works[key].reason in _PASSES for key in part.derived)


def _underived(part: Part, changed: list[Row]) -> list[Failure]:
    """Why some could not be derived; what was in doubt about their records still is, and joins `changed`."""
    failures = []
    for key, one in part.derived.items():
        if one.error is None:
            continue
        failures.append(Failure(key, "derive", str(one.error), one.error.remedy))
        row = part.rows.get(key)
        if row is not None and part.batch.works[key].trust is Trust.TARGET:
            changed.append(msgspec.structs.replace(row, void=True))
    return failures


def _default(mapping: Mapping, one: Derived) -> Key | None:
    """The target key that follows from the source key, None where the record decides. Mostly it was made
    already."""
    if not mapping.key_is_root_key:
        return None
    return one.desired[0].key if one.desired else mapping.default_key(one.key)


class _Wrote:
    """The hint that wrote, as ledger rows keep it: one for many keys."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._known: dict[int, bytes] = {}

    def __call__(self, work: Work) -> bytes:
        form = self._known.get(id(work))  # the batch keeps all its works meanwhile
        if form is None:
            form = self._known[id(work)] = encode_wrote(Wrote(work.reason, work.position, self._now))
        return form
