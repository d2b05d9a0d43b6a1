"""Values that hold from a day or a moment on: `Timeline`, the type of every effective-dated model.

A timeline is a row of spans [start, end), each with one value: ordered, none over another, and canonical:
equal neighbours are one span, a span without a day is none. So two timelines are equal exactly if they say
the same at every moment. None is not a value: where there is None, there is no span.

Moments are dates or instants (datetimes with a zone, kept in UTC), never both in one timeline. A start of
None is since ever, an end of None is for ever.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from lockstep.errors import DataError

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
K = TypeVar("K")

Moment = dt.date
"""A `date`, or a `datetime` (which Python takes for a date, too) with a zone."""


class Extent(NamedTuple):
    """[start, end): None is open."""

    start: Moment | None
    end: Moment | None


class Span(NamedTuple, Generic[T]):
    """What holds from `start` to before `end`."""

    start: Moment | None
    end: Moment | None
    value: T


class Change(NamedTuple, Generic[T]):
    """From `start` to before `end` it is `before` and becomes `after`; None: nothing."""

    start: Moment | None
    end: Moment | None
    before: T | None
    after: T | None


class Timeline(Generic[T]):
    """What holds when. Immutable, and hashable where its values are.

    `Timeline([(date(2026, 1, 1), date(2026, 3, 3), "Basic"), (date(2026, 3, 3), None, "Pro")])`

    Raises DataError where two spans overlap, a span ends before it starts, or moments are of two kinds.
    """

    __slots__ = ("spans",)
    spans: tuple[Span[T], ...]

    def __init__(self, spans: Iterable[tuple[Moment | None, Moment | None, T | None]] = ()) -> None:
        object.__setattr__(self, "spans", tuple(_canonical(spans)))

    @classmethod
    def always(cls, value: T | None, start: Moment | None = None, end: Moment | None = None) -> Timeline[T]:
        """One value, from `start` to before `end`."""
        return cls([(start, end, value)])

    @classmethod
    def from_events(
        cls, events: Iterable[tuple[Moment | None, T | None]], end: Moment | None = None
    ) -> Timeline[T]:
        """Each event's value holds until the next event, or `end`; None ends it.

        Events may come in any order; of several at one moment the last given wins. One at None is since ever.
        """
        last = {at if at is None else _moment(at): value for at, value in events}
        _same_kind([*last, end])
        ordered = sorted(last, key=_from)
        ends = [*ordered, None][1:]
        return cls((at, to, last[at]) for at, to in zip(ordered, ends, strict=True)).between(None, end)

    def events(self) -> list[tuple[Moment | None, T | None]]:
        """The moments at which it changes, with the value from then on; the way back of `from_events`."""
        told: list[tuple[Moment | None, T | None]] = []
        for span in self.spans:
            if told and told[-1] == (span.start, None):
                told.pop()
            told.append((span.start, span.value))
            if span.end is not None:
                told.append((span.end, None))
        return told

    def at(self, moment: Moment) -> T | None:
        """The value that holds then, or None."""
        at = _moment(moment)
        _same_kind([at, *(edge for span in self.spans[:1] for edge in span[:2])])
        place = bisect_right(self.spans, _from(at), key=lambda span: _from(span.start)) - 1
        if place < 0:
            return None
        end = self.spans[place].end
        return self.spans[place].value if end is None or at < end else None

    def between(self, start: Moment | None = None, end: Moment | None = None) -> Timeline[T]:
        """Only what holds in [start, end)."""
        window = Timeline.always(True, start, end)
        return combine(lambda value, inside: value if inside else None, self, window)

    def without(self, start: Moment | None = None, end: Moment | None = None) -> Timeline[T]:
        """Only what holds outside of [start, end)."""
        window = Timeline.always(True, start, end)
        return combine(lambda value, inside: None if inside else value, self, window)

    def __or__(self, other: Timeline[T]) -> Timeline[T]:
        """`other` laid over this one: where both say something, `other` is right (as with dicts)."""
        return combine(lambda under, over: under if over is None else over, self, other)

    def gaps(self, start: Moment | None = None, end: Moment | None = None) -> list[Extent]:
        """Where nothing holds, within [start, end)."""
        held, window = self.map(lambda _: True), Timeline.always(True, start, end)
        free = combine(lambda there, inside: inside if there is None else None, held, window)
        return [Extent(one.start, one.end) for one in free.spans]

    def map(self, change: Callable[[T], U | None]) -> Timeline[U]:
        """Each value changed; None drops it, and what becomes equal is joined."""
        return Timeline((span.start, span.end, change(span.value)) for span in self.spans)

    def zip(self, other: Timeline[U]) -> Timeline[tuple[T | None, U | None]]:
        """Both values, wherever either says something."""
        return combine(lambda one, two: None if one is None and two is None else (one, two), self, other)

    def diff(self, other: Timeline[T]) -> list[Change[T]]:
        """What must be changed, and when, to turn this one into `other`; `apply` does it."""
        differing = combine(lambda one, two: None if one == two else (one, two), self, other)
        return [Change(span.start, span.end, *span.value) for span in differing.spans]

    def apply(self, changes: Iterable[Change[T]]) -> Timeline[T]:
        """With the changes made. Raises DataError where it is not what a change says it is before."""
        made = self
        for one in changes:
            found = made.between(one.start, one.end)
            if found != Timeline.always(one.before, one.start, one.end):
                raise DataError(
                    f"the change {_told(one)} expects {one.before!r}, but there is {found}",
                    "Read it again, and make the difference anew.",
                )
            made = made.without(one.start, one.end) | Timeline.always(one.after, one.start, one.end)
        return made

    def edges(self) -> list[Moment]:
        """All starts and ends, in order."""
        return sorted({at for span in self.spans for at in span[:2] if at is not None})

    def form(self) -> list[dict[str, Any]]:
        """What a record holds of it: `[{"start", "end", "value"}]`, None where it is open."""
        return [span._asdict() for span in self.spans]

    def __iter__(self) -> Iterator[Span[T]]:
        return iter(self.spans)

    def __len__(self) -> int:
        return len(self.spans)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeline) and self.spans == other.spans

    def __hash__(self) -> int:
        return hash(self.spans)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a timeline is immutable: make another with between, |, map or apply")

    def __reduce__(self) -> tuple[type[Timeline[Any]], tuple[tuple[Span[T], ...]]]:
        return Timeline, (self.spans,)

    def __repr__(self) -> str:
        return f"Timeline({', '.join(f'{_told(span)} {span.value!r}' for span in self.spans)})"


def combine(
    answer: Callable[[T | None, U | None], V | None], one: Timeline[T], two: Timeline[U]
) -> Timeline[V]:
    """At every moment the answer to what both say then. None, in and out, is nothing."""
    return Timeline((start, end, answer(*values)) for start, end, values in _pieces((one, two)))


def together(timelines: Mapping[K, Timeline[T]]) -> Timeline[dict[K, T]]:
    """Several as one: at every moment the values of those that say something."""

    def said(values: tuple[T | None, ...]) -> dict[K, T] | None:
        pairs = zip(timelines, values, strict=True)
        return {name: value for name, value in pairs if value is not None} or None

    pieces = _pieces(tuple(timelines.values()))
    return Timeline((start, end, said(values)) for start, end, values in pieces)


def _pieces(
    timelines: tuple[Timeline[Any], ...],
) -> Iterator[tuple[Moment | None, Moment | None, tuple[Any, ...]]]:
    """All time, cut at every edge, with what each timeline says in the piece."""
    edges = {edge for timeline in timelines for edge in timeline.edges()}
    _same_kind(edges)
    places = [0] * len(timelines)
    for start, end in pairwise([None, *sorted(edges), None]):
        values = []
        for index, timeline in enumerate(timelines):
            spans = timeline.spans
            while places[index] < len(spans) and _over(spans[places[index]], start):
                places[index] += 1
            there = places[index] < len(spans) and _from(spans[places[index]].start) <= _from(start)
            values.append(spans[places[index]].value if there else None)
        yield start, end, tuple(values)


def _canonical(spans: Iterable[tuple[Moment | None, Moment | None, T | None]]) -> Iterator[Span[T]]:
    given = [
        Span(start if start is None else _moment(start), end if end is None else _moment(end), value)
        for start, end, value in spans
    ]
    _same_kind([at for span in given for at in span[:2]])
    for span in given:
        if span.start is not None and span.end is not None and span.end < span.start:
            raise DataError(f"a span ends before it starts: {_told(span)} {span.value!r}", "Exchange them.")
    last: Span[T] | None = None
    for start, end, value in sorted(given, key=lambda span: _from(span.start)):
        if value is None or (start is not None and start == end):
            continue
        if last is not None:
            if last.end is None or start is None or start < last.end:
                raise DataError(
                    f"two spans overlap: {_told(last)} {last.value!r} and {_told((start, end))} {value!r}",
                    "Let the first end where the second starts, or lay one over the other with |.",
                )
            if last.end == start and last.value == value:
                last = Span(last.start, end, last.value)
                continue
            yield last
        last = Span(start, end, value)
    if last is not None:
        yield last


def _moment(moment: object) -> Moment:
    """A date, or an instant in UTC."""
    if isinstance(moment, dt.datetime):
        if moment.utcoffset() is None:
            raise DataError(
                f"{moment.isoformat()} has no zone, so it is no moment",
                "Give it a zone (tzinfo=…), or take its date.",
            )
        try:
            return moment.astimezone(dt.UTC)
        except OverflowError as error:
            raise DataError(
                f"{moment.isoformat()} is beyond the calendar in UTC", "Leave the end open (None) for ever."
            ) from error
    if isinstance(moment, dt.date):
        return moment
    raise DataError(
        f"{moment!r} is neither a date nor an instant", "Give a datetime.date, or a datetime with a zone."
    )


def _same_kind(moments: Iterable[Moment | None]) -> None:
    by_kind = {isinstance(at, dt.datetime): at for at in moments if at is not None}
    if len(by_kind) > 1:
        raise DataError(
            f"{by_kind[False]} is a date and {by_kind[True]} an instant: they have no order",
            "Use one of both; the date of an instant depends on the zone that you name: "
            "moment.astimezone(zone).date().",
        )


def _from(start: Moment | None) -> tuple[bool, Any]:
    """In the order of starts, since ever first."""
    return start is not None, start


def _over(span: Span[Any], start: Moment | None) -> bool:
    """Whether it ends before a piece that begins at `start`."""
    return span.end is not None and start is not None and span.end <= start


def _told(span: tuple[Any, ...]) -> str:
    return f"[{'…' if span[0] is None else span[0]}, {'…' if span[1] is None else span[1]})"
