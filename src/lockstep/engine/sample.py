"""A sample at start: does the code still mean what it meant when the ledger was written?

A mapping's version is a hash of its own module. A helper beside it, a constant, a library may change as
well, and nothing hints the records that now mean something else. So each start derives some keys whose rows
in the source are as they were (their sums say so) and compares with what the ledger says was sent.
"""

from __future__ import annotations

import time

from lockstep import keys
from lockstep.engine.decide import owned
from lockstep.engine.derive import Deriver
from lockstep.mapping import Mapping
from lockstep.ports import Reader
from lockstep.state.store import Store

SAMPLE = 200


def changed_meaning(mapping: Mapping, consumer: int, store: Store, reader: Reader) -> str | None:
    """A source key, as text, that means something else than it did; None where none of the sample does.

    Left out: keys in doubt, stuck ones, and those whose date has come; all, while a pass over the keys is
    under way. Raises Unreachable or Refused when the source does not answer.
    """
    known = store.backfills.newest(consumer)
    if known is None or known.finished_at is None:
        return None
    now = time.time()
    rows = {
        row.key: row
        for row in store.ledger.spread(consumer, SAMPLE)
        if not row.void and row.sum is not None and (row.due is None or row.due > now)
    }
    for stuck in store.stuck.of(consumer, list(rows)):
        rows.pop(stuck.key, None)
    for key, one in Deriver(mapping, reader).derive(list(rows), now).items():
        row = rows[key]
        if one.root is None or one.sum != row.sum:
            continue  # changed in the source, which is hinted; or a row that was damaged
        sent = {item.key: item.sent for item in owned(row, mapping.default_key).values()}
        if one.error is not None or {item.key: item.fingerprint for item in one.desired} != sent:
            return keys.text(key)
    return None
