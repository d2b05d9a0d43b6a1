"""Records that a pass met, remembered as a few sums for each span of source keys.

Two passes whose sums are equal met the same records, and a sum needs no memory. It is the same number in
every process: a check that was interrupted compares with what an earlier one met.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from lockstep.forms.canonical import wrap64
from lockstep.values import Fingerprint, Key


class Record(NamedTuple):
    """A target record that says it is from a source key, and the fingerprint that it carries."""

    target: Key
    source: Key
    fingerprint: Fingerprint


class Met(NamedTuple):
    """Of one span: how many records, and the sums of their fingerprints and of their marks, modulo 2^64."""

    records: int = 0
    fingerprints: int = 0
    marks: int = 0


def mark(target: Key, source: Key) -> int:
    """That a record is there and from whom, in one 64-bit number. A mere count would let a record that went
    hide one that nobody derives."""
    both = len(target).to_bytes(4, "big") + target + source
    return int.from_bytes(blake2b(both, digest_size=8).digest(), "big")


def span_of(cuts: Sequence[Key], source: Key) -> int:
    return bisect_left(cuts, source)


def met_in(cuts: Sequence[Key], records: Iterable[Record]) -> dict[int, Met]:
    """These records, by the number of their span, of `len(cuts) + 1`."""
    spans: dict[int, list[Record]] = defaultdict(list)
    for one in records:
        spans[span_of(cuts, one.source)].append(one)
    return {
        at: Met(
            len(some),
            wrap64(sum(one.fingerprint for one in some)),
            wrap64(sum(mark(one.target, one.source) for one in some)),
        )
        for at, some in spans.items()
    }


def together(before: Sequence[Met], some: Mapping[int, Met]) -> tuple[Met, ...]:
    """What was met before in all spans, and what was in some."""
    after = list(before)
    for at, more in some.items():
        was = after[at]
        after[at] = Met(
            was.records + more.records,
            wrap64(was.fingerprints + more.fingerprints),
            wrap64(was.marks + more.marks),
        )
    return tuple(after)
