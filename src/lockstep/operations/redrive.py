"""redrive: what changed since a moment is hinted again, each key once, and compared with the target."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.hints.addressed import everything
from lockstep.engine.hints.expand import Expander
from lockstep.errors import DeclarationError, Declined, UsageError
from lockstep.journal.window import Gathered
from lockstep.operations.beside import followed
from lockstep.operations.hinted_again import append, entries_of
from lockstep.operations.opened import consumer_of, existing
from lockstep.state.store import Store
from lockstep.values import Trust, consumer_stream, source_stream

_AHEAD = 60.0
"""Seconds by which a time may lie ahead of the clock."""


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
    derived once and compared with what the target holds. Raises UsageError for what is no such place,
    Declined where the journal does not reach back so far (then nothing is hinted of any mapping), StateError.
    """
    require_pipeline(pipeline)
    since, until = _place("since", since), None if until is None else _place("until", until)
    _require_a_stretch(since, until)
    names = list(pipeline.mappings) if mapping is None else [mapping]
    with existing(pipeline, Access.CHANGE) as store:
        windows = [_Window(store, pipeline.named(name), since, until) for name in names]
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(one.gathered()) for one in windows]
            return tuple(
                window.hinted(some, dry_run=dry_run) for window, some in zip(windows, found, strict=True)
            )


class _Window:
    """A stretch of the journal, for one mapping. Raises Declined where it is not kept as a whole."""

    def __init__(self, store: Store, mapping: Mapping, since: float | str, until: float | str | None) -> None:
        self._store = store
        self._mapping = mapping
        self._since = since
        self._consumer = consumer_of(store, mapping.name, mapping.target.name)
        self._source = source_stream(mapping.source.name)
        self._own = consumer_stream(self._consumer.id)
        self._early = False
        self._after = self._begins(since)
        self._require_kept()
        self._upto = self._ends(until)

    @contextlib.contextmanager
    def gathered(self) -> Iterator[Gathered]:
        """What lies in it. Raises Declined where some of what it should hold is not known."""
        root, concerns = self._mapping.root, Expander(self._mapping.root).concerns
        with contextlib.closing(Gathered()) as found:
            self._store.journal.window.gather(
                found, self._source, self._own, root.table.name, concerns, self._after, self._upto
            )
            self._require_kept()  # a run may have forgotten some of it meanwhile
            begun = self._store.generations.followed_since(self._mapping.name)
            # A build that was restored, or taken over, had no pass of its own, which would be all keys.
            if not found.whole and isinstance(self._since, float) and self._since < (begun or 0.0):
                raise _before_it_began(self._mapping, begun or 0.0)
            if not found.whole and self._early:
                raise _before_following(self._mapping, str(self._since))
            yield found

    def hinted(self, found: Gathered, *, dry_run: bool) -> Redriven:
        """Hints it again."""
        store, mapping, root = self._store, self._mapping, self._mapping.root.table.name
        keys, related = (0, 0) if found.whole else (found.keys.count(), found.related.count())
        if not dry_run and found.hints:
            entries = (
                iter([everything(self._consumer.id, root, Trust.TARGET, reason="redrive")])
                if found.whole
                else entries_of(self._consumer, found)
            )
            total = store.ledger.count(self._consumer.id) if found.whole else keys + related
            since = self._since
            moment = (
                since if isinstance(since, str) else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
            )
            append(store, mapping, self._consumer, entries, total, f"of what changed since {moment}")
        return Redriven(mapping.name, found.hints, keys, related, found.whole, store.lock.holder())

    def _begins(self, since: float | str) -> int:
        """The journal's offset after which it lies."""
        if isinstance(since, float):
            return self._store.journal.window.since(since)
        if (offset := _offset(since)) is not None:
            if offset > (end := self._store.journal.end()) + 1:
                raise UsageError(
                    f"the journal has no {since} yet: it ends at offset:{end}", "Name an earlier one."
                )
            return offset - 1
        with _positions(self._mapping, since) as passed:
            began = self._store.journal.began(self._mapping.source.name)
            self._early = began is not None and not passed(since, began)
            if self._early:  # the first pass, which is all keys, may be kept
                return 0
            first = self._store.journal.window.first_at(self._source, lambda one: passed(one, since))
            name = self._mapping.source.name
            reached = followed(self._store, name)
            if first is None and reached and not any(passed(one, since) for one in reached):
                raise UsageError(
                    f"the log of {name} has come to {reached[-1]}, and {since} lies ahead",
                    "Name an earlier --since: a position that `lockstep status` has shown, or a time.",
                )
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
        """Raises Declined where something of it may be forgotten. Entries are forgotten by their time and
        kept by their offset, which go apart where a clock was set: either is enough to refuse."""
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
    """How positions of a source's log compare. Raises UsageError for what is none."""
    feed = mapping.source.feed()
    try:
        feed.passed(position, position)
        yield feed.passed
    except ValueError as error:
        raise UsageError(
            f"{position!r} is no time, and no position in the log of {mapping.source.name}",
            "Write 2h (ago), 03:12 (the last time it was), 2026-11-27 or 2026-11-27T22:00+01:00; a position "
            "as `lockstep status` shows it (of several sources with --mapping); or offset:N of the journal.",
        ) from error
    finally:
        feed.close()


def _offset(place: str) -> int | None:
    """Of `offset:N`."""
    found = re.fullmatch(r"offset:(\d{1,18})", place)
    return int(found[1]) if found else None


def _place(name: str, given: object) -> float | str:
    if isinstance(given, str):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    raise DeclarationError(
        f"{name}={given!r} is no moment",
        "Give seconds since the epoch (time.time() - 7_200), a position of the source's log, or 'offset:N'.",
    )


def _require_a_stretch(since: float | str, until: float | str | None) -> None:
    """Raises UsageError where there is no such time, or none between the two."""
    if isinstance(since, float) and since > time.time() + _AHEAD:
        raise UsageError(f"{_shown(since)} has not been yet", "Name a time that is over: --since 2h.")
    if isinstance(since, float) and isinstance(until, float) and until < since:
        raise UsageError(
            f"it ends at {_shown(until)}, before it begins, at {_shown(since)}",
            "Name an --until that is later than --since.",
        )


def _shown(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at))


_INSTEAD = (
    "`lockstep verify {0}`, then `lockstep repair {0}`: derives what differs. Or `lockstep backfill {0} "
    "--trust-target`: compares all keys. A later --since is answered"
)


def _beyond(mapping: Mapping, forgotten: float) -> Declined:
    return Declined(
        f"the journal has forgotten what changed before {_shown(forgotten)}, and which keys of "
        f"{mapping.name} that were: its window begins there",
        f"{_INSTEAD.format(mapping.name)}; ls.Pipeline(…, keep=SECONDS) makes the journal keep more.",
    )


def _before_following(mapping: Mapping, position: str) -> Declined:
    return Declined(
        f"{position} lies before the position at which {mapping.source.name} began to be followed: what "
        f"changed of {mapping.name} between the two is not in the journal, whose window begins there",
        f"{_INSTEAD.format(mapping.name)}.",
    )


def _before_it_began(mapping: Mapping, begun: float) -> Declined:
    return Declined(
        f"{mapping.name} has been followed only since {_shown(begun)}: what changed before is not in the "
        "journal",
        f"{_INSTEAD.format(mapping.name)}.",
    )
