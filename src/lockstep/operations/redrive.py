"""redrive: what changed since a moment is hinted again, each key once, and compared with the target."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from lockstep.database import Access
from lockstep.engine.addressed import addressed
from lockstep.engine.expand import Expander
from lockstep.engine.points import passing
from lockstep.errors import DataError, DeclarationError, Refused
from lockstep.journal.window import Trimmed
from lockstep.mapping import Mapping
from lockstep.operations.opened import consumer_of, existing, parse_key
from lockstep.pipeline import Pipeline
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.lock import user
from lockstep.state.store import Store
from lockstep.values import EVERYTHING, Entry, Hint, Key, Lane, Trust, consumer_stream, source_stream

T = TypeVar("T")

_AT_ONCE = 1_000


class Redriven(Struct, frozen=True):
    """What was hinted again of one mapping: `keys` of its root, `related` rows whose roots are looked for,
    made of `hints`; `whole`: everything, as a table was emptied or a pass was among them. `running`: who
    carries it out, None when the next run will."""

    mapping: str
    hints: int
    keys: int
    related: int
    whole: bool
    running: str | None


def redrive(
    pipeline: Pipeline,
    *,
    since: float | str,
    until: float | str | None = None,
    mapping: str | None = None,
    dry_run: bool = False,
) -> tuple[Redriven, ...]:
    """Hints again what the journal holds from a moment on, and up to another: seconds since the epoch, or a
    position of the source's log. Of all mappings, or one. Each key is then derived once and compared with
    what the target holds. Raises Refused where the journal does not reach back so far, StateError.
    """
    names = list(pipeline.mappings) if mapping is None else [mapping]
    with existing(pipeline, Access.CHANGE) as store:
        return tuple(_redriven(store, pipeline.named(name), since, until, dry_run=dry_run) for name in names)


def redrive_keys(
    pipeline: Pipeline, mapping: str, typed: Iterable[str], *, dry_run: bool = False
) -> Redriven:
    """Hints these keys of a mapping's root again, one a line as a person types them, each once.

    Raises DeclarationError that names the line; nothing is hinted then.
    """
    declared = pipeline.named(mapping)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = consumer_of(store, mapping, declared.target.name)
        found: dict[Key, None] = {}
        lines = 0
        for number, line in enumerate(typed, start=1):
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            lines += 1
            try:
                found.setdefault(parse_key(declared, text))
            except (DataError, DeclarationError) as error:
                raise DeclarationError(f"line {number}: {error}", error.remedy) from error
        if not dry_run:
            for some in _batches(found):
                store.journal.append(_keys(consumer, declared, some))
            _note(store, declared, consumer, len(found), "of a list")
        return Redriven(mapping, lines, len(found), 0, False, store.lock.holder())


def _redriven(
    store: Store, mapping: Mapping, since: float | str, until: float | str | None, *, dry_run: bool
) -> Redriven:
    consumer = consumer_of(store, mapping.name, mapping.target.name)
    after, upto = _offsets(store, mapping, since, until)
    hints = keys = related = 0
    whole = False
    expander, root = Expander(mapping.root), mapping.root.table.name
    stream = source_stream(mapping.source.name)
    for part in store.journal.window.gather(stream, root, expander.concerns, after, upto):
        hints += part.hints
        keys += len(part.keys)
        related += len(part.related)
        whole = whole or part.whole
        if dry_run:
            continue
        now = time.time()
        if part.whole:
            span = Hint(root, span=EVERYTHING, reason="redrive", trust=Trust.TARGET, at=now)
            store.journal.append([Entry(consumer_stream(consumer.id), Lane.BULK, 0, (span,))])
        for some in _batches(sorted(part.keys)):
            store.journal.append(_keys(consumer, mapping, some))
            passing("redriven")
        for rows in _batches(part.related.values()):
            again = tuple(
                msgspec.structs.replace(one, reason="redrive", trust=Trust.TARGET, token=None, at=now)
                for one in rows
            )
            store.journal.append([Entry(consumer_stream(consumer.id), Lane.BULK, 0, again)])
            passing("redriven")
    if not dry_run:
        total = store.ledger.count(consumer.id) if whole else keys + related
        moment = since if isinstance(since, str) else time.strftime("%H:%M:%S", time.localtime(since))
        _note(store, mapping, consumer, total, f"of what changed since {moment}")
    return Redriven(mapping.name, hints, keys, related, whole, store.lock.holder())


def _keys(consumer: Consumer, mapping: Mapping, some: list[Key]) -> list[Entry]:
    return addressed(consumer.id, mapping.root.table.name, some, "redrive", Trust.TARGET, Lane.BULK)


def _note(store: Store, mapping: Mapping, consumer: Consumer, total: int, which: str) -> None:
    if total:
        store.backfills.ask(consumer.id, total, "redrive")
    words = f"asked for a redrive of {total:,} keys, {which}"
    store.events.note(Kind.REDRIVE_ASKED, mapping.name, words, who=user(), numbers={"keys": total})


def _offsets(
    store: Store, mapping: Mapping, since: float | str, until: float | str | None
) -> tuple[int, int]:
    """The journal's offsets between which it lies: after the first, up to the second."""
    stream, window = source_stream(mapping.source.name), store.journal.window
    trimmed = window.trimmed(stream)
    if isinstance(since, float):
        if trimmed is not None and since <= trimmed.at:
            raise _beyond(mapping, trimmed)
        after = window.since(since)
    else:
        first = _at(store, mapping, since)
        after = store.journal.end() if first is None else first - 1
        if trimmed is not None and not window.holds_before(stream, after):
            raise _beyond(mapping, trimmed)
    if until is None:
        return after, store.journal.end()
    if isinstance(until, float):
        return after, window.until(until)
    last = _at(store, mapping, until)
    return after, store.journal.end() if last is None else last


def _at(store: Store, mapping: Mapping, position: str) -> int | None:
    """Where the journal comes to a position of the source's log. Raises Refused for what is none."""
    feed = mapping.source.feed()
    try:
        return store.journal.window.at_position(
            source_stream(mapping.source.name), lambda one: feed.passed(one, position)
        )
    except ValueError as error:
        raise Refused(
            f"{position!r} is no position in the log of {mapping.source.name}",
            "Name one as `lockstep status` shows them, or a time: 2h, 03:12, 2026-11-27T22:00.",
        ) from error
    finally:
        feed.close()


def _beyond(mapping: Mapping, trimmed: Trimmed) -> Refused:
    since = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(trimmed.at))
    return Refused(
        f"the journal has forgotten what changed before {since}",
        f"Nobody knows which keys those were. `lockstep backfill {mapping.name} --trust-target` compares all "
        "keys; ask for the rest with a later --since.",
    )


def _batches(found: Iterable[T]) -> Iterator[list[T]]:
    left = iter(found)
    while some := list(itertools.islice(left, _AT_ONCE)):
        yield some
