"""A redrive of very many hints over few keys, beside the derivation of these keys."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table

import lockstep as ls
from bench.measure import median
from lockstep.database import Access
from lockstep.demo.app import create
from lockstep.demo.main import MAPPING
from lockstep.demo.pipeline import declare
from lockstep.forms import keys
from lockstep.operations.opened import existing
from lockstep.state.store import Store
from lockstep.values import PARTITIONS, Entry, Hint, Key, Lane, source_stream

KEYS = 10_000
_STRETCH = 5_000
"""Changes that a feed brings at once, each in the entry of its key's partition: as capture appends them."""

ROUNDS = 3


def run(hints: int) -> dict[str, Any]:
    """Times, in seconds, of deriving all keys and of a redrive over them, several rounds in turn."""
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as made:
        directory = Path(made)
        create(directory / "app.db", companies=KEYS // 25, users=KEYS)
        pipeline = declare(directory)
        ls.run(pipeline, once=True)
        derived: list[float] = []
        redriven: list[float] = []
        collapsed: list[float] = []
        for turn in range(ROUNDS):
            ls.backfill(pipeline, MAPPING, trust_target=True)
            derived.append(_run(pipeline))
            since = time.time()
            _changed(pipeline, hints, seed=turn)
            begun = time.perf_counter()
            (done,) = ls.redrive(pipeline, since=since)
            collapsed.append(time.perf_counter() - begun)
            assert done.hints >= hints
            redriven.append(collapsed[-1] + _run(pipeline))
    return {
        "hints": hints,
        "keys": KEYS,
        "derived_seconds": round(median(derived), 3),
        "redriven_seconds": round(median(redriven), 3),
        "collapse_seconds": round(median(collapsed), 3),
        "redrive_to_derivation": round(median(redriven) / median(derived), 3),
    }


def _run(pipeline: ls.Pipeline) -> float:
    begun = time.perf_counter()
    ls.run(pipeline, once=True)
    return time.perf_counter() - begun


def _changed(pipeline: ls.Pipeline, hints: int, seed: int) -> None:
    """So many hints of the users are in the journal, and the mapping has worked them all."""
    chance = random.Random(seed)
    encoded = [keys.encode((number,)) for number in range(1, KEYS + 1)]
    with existing(pipeline, Access.RUN) as store:
        stream = source_stream(next(iter(pipeline.sources())))
        for start in range(0, hints, _STRETCH):
            groups: dict[int, list[Hint]] = {}
            for _ in range(min(_STRETCH, hints - start)):
                key = Key(chance.choice(encoded))
                hint = Hint("users", key, before={}, after={}, at=time.time())
                groups.setdefault(keys.partition_of(key, PARTITIONS), []).append(hint)
            store.journal.append(
                [Entry(stream, Lane.LIVE, partition, tuple(group)) for partition, group in groups.items()]
            )
        _settle(store)


def _settle(store: Store) -> None:
    end = dict.fromkeys(range(PARTITIONS), store.journal.end())
    store.lock.take()
    epoch = store.draw_epoch()
    for consumer in store.generations.consumers():
        store.positions.place(epoch, consumer.id, {(source_stream(consumer.source), Lane.LIVE): end})


def table(result: dict[str, Any]) -> Table:
    shown = Table(title=f"{result['hints']:,} hints over {result['keys']:,} keys")
    for column in ("", "seconds", "÷ derivation"):
        shown.add_column(column, justify="left" if not column else "right")
    derived = result["derived_seconds"]
    for words, name in (
        ("deriving every key, compared with the target", "derived_seconds"),
        ("redrive, whole", "redriven_seconds"),
        ("  of that: reading the hints and telling them apart", "collapse_seconds"),
    ):
        shown.add_row(words, f"{result[name]:.2f}", f"{result[name] / derived:.2f}")
    return shown
