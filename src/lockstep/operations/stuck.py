"""stuck, retry: the keys that failed, and another try for them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from lockstep import keys
from lockstep.operations.opened import consumer_of, existing, parse_keys
from lockstep.pipeline import Pipeline
from lockstep.state.store import Store
from lockstep.state.stuck import Stuck
from lockstep.values import PARTITIONS, Entry, Hint, Key, Lane, Trust, consumer_stream


def stuck(state: Path | Pipeline, mapping: str | None = None, limit: int = 1000) -> list[Stuck]:
    """The stuck keys of a mapping, or of all, the longest stuck first."""
    with existing(state) as store:
        consumers = (
            [consumer_of(store, mapping)] if mapping else store.generations.consumers("running", "stopped")
        )
        return [one for consumer in consumers for one in store.stuck.of(consumer.id, limit=limit)]


def retry(pipeline: Pipeline, mapping: str, typed: Sequence[str] = ()) -> int:
    """Hints these keys, or all stuck keys of a mapping; how many. The run tries them at once."""
    declared = pipeline.named(mapping)
    with existing(pipeline) as store:
        consumer = consumer_of(store, mapping, declared.target.name)
        if not typed:
            return store.stuck.retry_all(consumer.id)
        wanted = parse_keys(declared, typed)
        append(store, consumer.id, declared.root.table.name, wanted, "retry", Trust.LEDGER)
        return len(wanted)


def append(store: Store, consumer: int, table: str, wanted: Iterable[Key], reason: str, trust: Trust) -> None:
    """Hints keys of a mapping's root, for the run to work."""
    groups: dict[int, list[Key]] = {}
    for key in wanted:
        groups.setdefault(keys.partition_of(key, PARTITIONS), []).append(key)
    now = time.time()
    stream = consumer_stream(consumer)
    store.journal.append(
        [
            Entry(
                stream,
                Lane.LIVE,
                partition,
                (Hint(table, keys=tuple(group), reason=reason, trust=trust, at=now),),
            )
            for partition, group in groups.items()
        ]
    )
