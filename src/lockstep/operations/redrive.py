"""redrive: what changed since a moment is hinted again, each key once, and compared with the target."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from msgspec import Struct

from lockstep.database import Access
from lockstep.engine.addressed import addressed
from lockstep.engine.expand import Expander
from lockstep.engine.points import passing
from lockstep.errors import DataError, DeclarationError, Refused
from lockstep.journal.window import Gathered, again
from lockstep.mapping import Mapping
from lockstep.operations.opened import consumer_of, existing, keys_or_errors
from lockstep.pipeline import Pipeline
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.lock import user
from lockstep.state.store import Store
from lockstep.values import EVERYTHING, Entry, Hint, Key, Lane, Trust, consumer_stream, source_stream

T = TypeVar("T")

_NEIGHBOURS = 5_000
"""Keys that are derived together, as a source reads neighbours fastest."""

_AT_ONCE = 50_000
"""Keys in one append: few of them, and none that holds the journal for long."""

_SHOWN = 10
"""Lines of a list that are named where they are no keys."""

_RELATED = 1_000
"""Related rows in one entry of the journal."""


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
    """Hints again what the journal holds from a moment on, and up to another: seconds since the epoch, a
    position of the source's log, or `offset:N` of the journal. Of all mappings, or one. Each key is then
    derived once and compared with what the target holds. Raises Refused where the journal does not reach back
    so far (then nothing is hinted of any mapping), StateError.
    """
    names = list(pipeline.mappings) if mapping is None else [mapping]
    with existing(pipeline, Access.CHANGE) as store:
        windows = [_Window(store, pipeline.named(name), since, until) for name in names]
        return tuple(one.redriven(dry_run=dry_run) for one in windows)


def redrive_keys(
    pipeline: Pipeline, mapping: str, typed: Iterable[str], *, dry_run: bool = False
) -> Redriven:
    """Hints these keys of a mapping's root again, one a line as a person types them, each once.

    Raises DeclarationError that names the lines which are no keys; nothing is hinted then.
    """
    declared = pipeline.named(mapping)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = consumer_of(store, mapping, declared.target.name)
        with contextlib.closing(Gathered()) as found:
            for lines in _batches(_numbered(typed), _NEIGHBOURS):
                found.hints += len(lines)
                found.keys.update(_keys_of(declared, lines))
            total = found.keys.count()
            if not dry_run:
                _append(store, declared, consumer, _entries(consumer, found), total, "of a list")
            return Redriven(mapping, found.hints, total, 0, False, store.lock.holder())


def _keys_of(mapping: Mapping, lines: list[tuple[int, str]]) -> list[Key]:
    found: list[Key] = []
    wrong: list[tuple[int, DataError]] = []
    read = keys_or_errors(mapping, [line for _, line in lines])
    for (number, _), one in zip(lines, read, strict=True):
        if isinstance(one, DataError):
            wrong.append((number, one))
        else:
            found.append(one)
    if wrong:
        named = "; ".join(f"line {number}: {error}" for number, error in wrong[:_SHOWN])
        more = f"; and {len(wrong) - _SHOWN:,} more of lines {lines[0][0]} to {lines[-1][0]}"
        raise DeclarationError(
            f"nothing is hinted again, as the list has what is no key: {named}"
            + (more if len(wrong) > _SHOWN else ""),
            wrong[0][1].remedy,
        )
    return found


def _numbered(typed: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    number, lines = 0, iter(typed)
    while True:
        number += 1
        try:
            line = next(lines, None)
        except UnicodeDecodeError as error:
            raise DeclarationError(
                f"the list is no text from about line {number} on: {error}",
                "Give one key a line, in UTF-8, as `lockstep explain` takes them.",
            ) from error
        if line is None:
            return
        text = line.rstrip("\r\n")
        if text.strip():
            yield number, text


class _Window:
    """A stretch of the journal, for one mapping. Raises Refused where it is not kept as a whole."""

    def __init__(self, store: Store, mapping: Mapping, since: float | str, until: float | str | None) -> None:
        self._store = store
        self._mapping = mapping
        self._since = since
        self._consumer = consumer_of(store, mapping.name, mapping.target.name)
        self._source = source_stream(mapping.source.name)
        self._own = consumer_stream(self._consumer.id)
        self._after = self._begins(since)
        self._require_kept()
        self._upto = self._ends(until)

    def redriven(self, *, dry_run: bool) -> Redriven:
        """Hints again what lies in it."""
        root, concerns = self._mapping.root, Expander(self._mapping.root).concerns
        with contextlib.closing(Gathered()) as found:
            self._store.journal.window.gather(
                found, self._source, self._own, root.table.name, concerns, self._after, self._upto
            )
            self._require_kept()  # a run may have forgotten some of it meanwhile
            return self._again(found, dry_run=dry_run)

    def _again(self, found: Gathered, *, dry_run: bool) -> Redriven:
        store, mapping, root = self._store, self._mapping, self._mapping.root.table.name
        keys, related = (0, 0) if found.whole else (found.keys.count(), found.related.count())
        if not dry_run:
            span = Hint(root, span=EVERYTHING, reason="redrive", trust=Trust.TARGET, at=time.time())
            entries = (
                iter([Entry(self._own, Lane.BULK, 0, (span,))])
                if found.whole
                else _entries(self._consumer, found)
            )
            total = store.ledger.count(self._consumer.id) if found.whole else keys + related
            since = self._since
            moment = (
                since if isinstance(since, str) else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
            )
            _append(store, mapping, self._consumer, entries, total, f"of what changed since {moment}")
        return Redriven(mapping.name, found.hints, keys, related, found.whole, store.lock.holder())

    def _begins(self, since: float | str) -> int:
        """The journal's offset after which it lies."""
        if isinstance(since, float):
            return self._store.journal.window.since(since)
        if (offset := _offset(since)) is not None:
            return offset - 1
        with _positions(self._mapping, since) as passed:
            first = self._store.journal.window.first_at(self._source, lambda one: passed(one, since))
        return self._store.journal.end() if first is None else first - 1

    def _ends(self, until: float | str | None) -> int:
        """The journal's offset up to which it lies."""
        if until is None:
            return self._store.journal.end()
        if isinstance(until, float):
            return self._store.journal.window.until(until)
        if (offset := _offset(until)) is not None:
            return offset
        with _positions(self._mapping, until) as passed:
            return self._store.journal.window.last_at(self._source, lambda one: passed(until, one))

    def _require_kept(self) -> None:
        """Raises Refused where something of it may be forgotten. Entries are forgotten by their time and kept
        by their offset, which go apart where a clock was set: either is enough to refuse."""
        window, since = self._store.journal.window, self._since
        forgotten = {one: window.trimmed(one) for one in (self._source, self._own)}
        for stream, trimmed in forgotten.items():
            if trimmed is None:
                continue
            if (
                trimmed.offset > self._after
                or (isinstance(since, float) and since <= trimmed.at)
                # A position before the oldest one that is kept may be anywhere in what is not.
                or (
                    isinstance(since, str)
                    and _offset(since) is None
                    and stream == self._source
                    and not window.holds_between(stream, trimmed.offset, self._after)
                )
            ):
                raise _beyond(self._mapping, max(one.at for one in forgotten.values() if one))


@contextlib.contextmanager
def _positions(mapping: Mapping, position: str) -> Iterator[Callable[[str, str], bool]]:
    """How positions of a source's log compare. Raises Refused for what is none."""
    feed = mapping.source.feed()
    try:
        feed.passed(position, position)
        yield feed.passed
    except ValueError as error:
        raise Refused(
            f"{position!r} is no position in the log of {mapping.source.name}",
            "Name one as `lockstep status` shows them, or a time: 2h, 03:12, 2026-11-27T22:00.",
        ) from error
    finally:
        feed.close()


def _offset(place: str) -> int | None:
    """Of `offset:N`."""
    found = re.fullmatch(r"offset:(\d{1,18})", place)
    return int(found[1]) if found else None


def _beyond(mapping: Mapping, forgotten: float) -> Refused:
    since = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(forgotten))
    return Refused(
        f"the journal has forgotten what changed before {since}, and which keys of {mapping.name} that were",
        f"`lockstep verify {mapping.name}`, then `lockstep repair {mapping.name}`: derives what differs. Or "
        f"`lockstep backfill {mapping.name} --trust-target`: compares all keys. A later --since is answered; "
        "ls.Pipeline(…, keep=SECONDS) makes the journal keep more.",
    )


def _append(
    store: Store, mapping: Mapping, consumer: Consumer, entries: Iterator[Entry], total: int, which: str
) -> None:
    """Appends them, and notes who asked. A crash half-way leaves hints, which collapse with those of the next
    one who asks."""
    for noted, some in enumerate(_appends(entries)):
        store.journal.append(some)
        passing("redriven")
        if not noted:  # not before there is something to do: an idle run would call it finished
            store.backfills.ask(consumer.id, total, "redrive")
    words = f"asked for a redrive of {total:,} keys, {which}"
    store.events.note(Kind.REDRIVE_ASKED, mapping.name, words, who=user(), numbers={"keys": total})


def _entries(consumer: Consumer, found: Gathered) -> Iterator[Entry]:
    """In the order of the keys, as neighbours are read fastest."""
    for some in _batches(found.keys, _NEIGHBOURS):
        yield from addressed(consumer.id, "", map(Key, some), "redrive", Trust.TARGET, Lane.BULK)
    now = time.time()
    for some in _batches(found.related, _RELATED):
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


def _batches(found: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(found)
    while some := list(itertools.islice(left, size)):
        yield some
