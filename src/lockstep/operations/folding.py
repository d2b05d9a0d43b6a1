"""Folding: what was repeated becomes one line that says how often; the order stays as things happened.

Twice: what comes again and again while nothing of weight happens (a mapping that waits and goes on, checks
that agree) is one line; then a sequence of lines that follows itself (a run that starts, finds its target
gone, stops) is told once. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from lockstep.operations.happening import Happening, Told, ill
from lockstep.state.events import Kind

GAP = 600.0
"""Seconds between two of a kind that are told together."""

CHECKS_GAP = 2 * 86_400.0
"""The same of what comes by a clock of its own: checks that agree, saved states."""

LONGEST = 8
"""Lines of a sequence that is looked for."""

_REGULAR = frozenset({Told.CHECK_AGREED, Kind.SNAPSHOT_TAKEN, Kind.SNAPSHOT_PRUNED})

_CHATTER = _REGULAR | {
    Told.BURST,
    Told.STILL_STUCK,
    Kind.MAPPING_STOPPED,
    Kind.MAPPING_WAITS,
    Kind.MAPPING_GOES_ON,
    Kind.STUCK,
    Kind.SOURCE_WAITS,
    Kind.SOURCE_GOES_ON,
    Kind.SOURCE_STOPPED,
}
"""What may be told together with its like although something else of these happened in between."""


class Line(Struct, frozen=True):
    """One or more happenings of a kind: the first of them, how many there were, and when the last was.
    `seconds`: how long they lasted together."""

    first: Happening
    times: int
    last_at: float
    seconds: float | None


def folded(happenings: Sequence[Happening]) -> list[Line]:
    """The lines of a timeline. `happenings`: in order."""
    return list(_unrepeated(_gathered(happenings)))


def _gathered(happenings: Sequence[Happening]) -> list[Line]:
    lines: list[Line] = []
    regular: dict[tuple[str, ...], int] = {}
    others: dict[tuple[str, ...], int] = {}
    for one in happenings:
        if one.kind not in _CHATTER:
            others.clear()
        if one.kind not in _CHATTER or ill(one):  # what was well before is not told with what is well after
            regular.clear()
        opened, gap = (regular, CHECKS_GAP) if one.kind in _REGULAR else (others, GAP)
        key = _key(one)
        at = opened.get(key)
        line = Line(one, 1, one.happened_at, one.seconds)
        if at is not None and one.happened_at - lines[at].last_at <= gap:
            lines[at] = _added(lines[at], line)
            continue
        if one.kind in _CHATTER:
            opened[key] = len(lines)
        lines.append(line)
    return lines


def _unrepeated(lines: Sequence[Line]) -> Iterator[Line]:
    keys = [_key(line.first) for line in lines]
    at = 0
    while at < len(lines):
        length, times = _sequence(keys, at)
        sequence = dict(zip(range(at, at + length), lines[at : at + length], strict=True))
        for begin in range(at + length, at + length * times, length):
            left = list(range(begin, begin + length))
            for place, line in sequence.items():
                match = next(one for one in left if keys[one] == keys[place])
                left.remove(match)
                sequence[place] = _added(line, lines[match])
        yield from sequence.values()
        at += length * times


def _sequence(keys: Sequence[tuple[str, ...]], at: int) -> tuple[int, int]:
    """The length of the sequence that begins there, and how often it follows itself; which covers most."""
    best = (1, 1)
    for length in range(1, LONGEST + 1):
        sequence, times = keys[at : at + length], 1
        while _alike(keys[at + times * length : at + (times + 1) * length], sequence):
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _alike(one: Sequence[tuple[str, ...]], other: Sequence[tuple[str, ...]]) -> bool:
    """Whether they begin and end alike, and what lies between is the same: neighbours stop in any order."""
    if len(one) < len(other) or one[0] != other[0] or one[-1] != other[-1]:
        return False
    return sorted(one) == sorted(other)


def _added(line: Line, more: Line) -> Line:
    lasted = [one.seconds for one in (line, more) if one.seconds is not None]
    return Line(
        line.first,
        line.times + more.times,
        max(line.last_at, more.last_at),
        sum(lasted) if lasted else None,
    )


def _key(one: Happening) -> tuple[str, ...]:
    """What is alike: numbers and names that differ each time do not count, except in what a person did."""
    if one.who is not None:
        return (one.kind, one.subject, one.who, one.why or "", one.text)
    text = "" if one.kind in _REGULAR else re.sub(r"\d[\d.,]*", "#", one.text)
    return (
        one.kind,
        re.sub(r"\d+", "#", one.subject) if one.subject.startswith("run ") else one.subject,
        text,
    )
