"""Hints of root keys, addressed to one consumer: how retries, requests and recovery ask for work."""

from __future__ import annotations

import time
from collections.abc import Iterable

from lockstep.forms import keys
from lockstep.values import EVERYTHING, PARTITIONS, Entry, Hint, Key, Lane, Trust, consumer_stream


def addressed(
    consumer: int,
    table: str,
    wanted: Iterable[Key],
    reason: str,
    trust: Trust,
    lane: Lane,
    origin: int = 0,
) -> list[Entry]:
    """Entries for the journal, each with the keys of one partition."""
    groups: dict[int, list[Key]] = {}
    for key in wanted:
        groups.setdefault(keys.partition_of(key, PARTITIONS), []).append(key)
    now = time.time()
    return [
        Entry(
            consumer_stream(consumer),
            lane,
            partition,
            (Hint(table, keys=tuple(group), reason=reason, trust=trust, at=now),),
            origin,
        )
        for partition, group in groups.items()
    ]


def everything(
    consumer: int, table: str, trust: Trust, *, reason: str = "backfill", token: str | None = None
) -> Entry:
    """An entry for the journal that stands for every key."""
    hint = Hint(table, span=EVERYTHING, reason=reason, trust=trust, token=token, at=time.time())
    return Entry(consumer_stream(consumer), Lane.BULK, 0, (hint,))
