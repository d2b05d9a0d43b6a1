"""What is hinted again, addressed to one mapping: in the order of the keys, in few appends."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from lockstep.declaration.mapping import Mapping
from lockstep.engine.hints.addressed import addressed
from lockstep.engine.points import passing
from lockstep.journal.window import Gathered, again
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.lock import user
from lockstep.state.runs import REDRIVE
from lockstep.state.store import Store
from lockstep.values import Entry, Key, Lane, Trust, consumer_stream

T = TypeVar("T")

NEIGHBOURS = 5_000
"""Keys that are derived together, as a source reads neighbours fastest."""

_AT_ONCE = 50_000
"""Keys in one append: few of them, and none that holds the journal for long."""

_RELATED = 1_000
"""Related rows in one entry of the journal."""


def append(
    store: Store, mapping: Mapping, consumer: Consumer, entries: Iterator[Entry], total: int, which: str
) -> None:
    """Appends them, and notes who asked. A crash half-way leaves hints, which collapse with those of the next
    one who asks."""
    for noted, some in enumerate(_appends(entries)):
        store.journal.append(some)
        passing("redriven")
        if not noted:  # not before there is something to do: an idle run would call it finished
            store.backfills.ask(consumer.id, total, REDRIVE)
    words = f"asked for a redrive of {total:,} keys, {which}"
    store.events.note(Kind.REDRIVE_ASKED, mapping.name, words, who=user(), numbers={"keys": total})


def entries_of(consumer: Consumer, found: Gathered) -> Iterator[Entry]:
    """In the order of the keys, as neighbours are read fastest."""
    for some in batches(found.keys, NEIGHBOURS):
        yield from addressed(consumer.id, "", map(Key, some), "redrive", Trust.TARGET, Lane.BULK)
    now = time.time()
    for some in batches(found.related, _RELATED):
        hints = tuple(again(one, now) for one in some)
        yield Entry(consumer_stream(consumer.id), Lane.BULK, 0, hints)


def _appends(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    some: list[Entry] = []
    hints = 0
    for entry in entries:
        some.append(entry)
        hints += sum(len(hint.keys) or 1 for hint in entry.hints)
        if hints >= _AT_ONCE:
            yield some
            some, hints = [], 0
    if some:
        yield some


def batches(found: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(found)
    while some := list(itertools.islice(left, size)):
        yield some
