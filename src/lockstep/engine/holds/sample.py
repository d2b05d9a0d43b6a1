"""A sample at start: does the code still mean what it meant when the ledger was written?

A mapping's version is a hash of its own module. A helper beside it, a constant, a library may change as
well, and nothing hints the records that now mean something else. So each start derives some keys whose rows
in the source are as they were (their sums say so) and compares with what the ledger says was sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from lockstep.declaration.mapping import Mapping
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.writing.decide import owned
from lockstep.ports import Reader
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Key

SAMPLE = 200

LONGEST = 10.0
"""Seconds that it takes, or little more."""

_FIRST = 4
"""Keys that are derived first, to see how long one takes."""

_STEP = 23
"""Between two keys that follow each other: prime, so that the few after each place come apart."""


class Changed(NamedTuple):
    """Of `tried` keys that are as they were in the source, `differ` mean something else now. `first`: one of
    them, and `before`: the target keys that it had."""

    tried: int
    differ: int
    first: Derived
    before: tuple[Key, ...]


def changed_meaning(
    mapping: Mapping, consumer: Consumer, store: Store, reader: Reader, *, other_columns: bool = False
) -> Changed | None:
    """What means something else than it did; None where nothing of the sample does.

    `other_columns`: the mapping reads other columns than before, so nobody can say which rows are as they
    were: then it is most of the sample that must differ. Left out: keys in doubt, stuck ones, and those whose
    date has come. Raises Unreachable or Refused when the source does not answer.
    """
    now = time.time()
    rows = {
        row.key: row
        for row in store.ledger.spread(consumer.id, SAMPLE)
        if not row.void and row.sum is not None and (row.due is None or row.due > now)
    }
    for stuck in store.stuck.of(consumer.id, list(rows)):
        rows.pop(stuck.key, None)
    tried = differ = 0
    first: Derived | None = None
    for key, one in _derived(Deriver(mapping, reader), list(rows), now):
        row = rows[key]
        if one.root is None or (one.sum != row.sum and not other_columns):
            continue  # changed in the source, which is hinted; or a row that was damaged
        tried += 1
        sent = {item.key: item.sent for item in owned(row, mapping.default_key).values()}
        if one.error is not None or {item.key: item.fingerprint for item in one.desired} != sent:
            differ += 1
            first = first or one
    if first is None or (other_columns and 2 * differ <= tried):
        return None
    return Changed(tried, differ, first, tuple(owned(rows[first.key], mapping.default_key)))


def _derived(deriver: Deriver, found: list[Key], now: float) -> Iterator[tuple[Key, Derived]]:
    """As many as it gets to in `LONGEST`, from all over the keys: a mapping may be slow."""
    left = [key for start in range(_STEP) for key in found[start::_STEP]]
    begun, size, room = time.monotonic(), _FIRST, len(left)
    while left and room > 0:
        some, left = left[: min(size, room)], left[min(size, room) :]
        before = time.monotonic()
        yield from deriver.derive(some, now).items()
        ended = time.monotonic()
        size, room = 2 * size, int((LONGEST - (ended - begun)) / max((ended - before) / len(some), 1e-6))


def passing_over(consumer: Consumer, store: Store) -> bool:
    """Whether a pass over all keys is under way: what the ledger says is of both codes then. One that no
    person asked for and of which nothing is settled is not: a start may have noted it and been killed before
    it could try the code, which must not be let in so."""
    known = store.backfills.newest(consumer.id)
    if known is None:
        return True
    return known.finished_at is None and (known.done > 0 or known.persons)
