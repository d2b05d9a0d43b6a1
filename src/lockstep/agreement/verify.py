"""The deep check: trusts nothing stored. Derives every record again and reads every target record.

First over the source's keys: what it derives must be in the target, equal. Then over the target: what
it holds must be derived by somebody. What differs is settled before it is reported: read and derived
again, so that a change on its way is not called a divergence. Nothing is written, nothing is hinted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from lockstep import keys
from lockstep.agreement.fields import FieldDiff, diff
from lockstep.canonical import canonical, fingerprint
from lockstep.engine.derive import Derived, Deriver
from lockstep.mapping import Mapping
from lockstep.ports import Reader, Writer
from lockstep.values import EVERYTHING, Held, Key, Span

PAGE = 1_000
SETTLE_TRIES = 5
SETTLE_WAIT = 1.0
SHOWN = 1_000


class Divergence(Struct, frozen=True):
    """One record on which the sides do not agree.

    `kind`: missing (the target lacks it), extra (nobody derives it), different, failed (it cannot be
    derived). `key` is the source key, None for an extra that Lockstep did not write.
    """

    kind: str
    key: str | None
    target_key: str | None
    fields: tuple[FieldDiff, ...] = ()
    reason: str | None = None


class Report(Struct, frozen=True):
    """What a check compared, and what it found.

    `divergences` holds the first thousand; `counts` holds all of them by kind.
    """

    mapping: str
    agreement: bool
    started_at: float
    ended_at: float
    source_keys: int
    target_records: int
    records_compared: int
    settled: int
    counts: dict[str, int]
    divergences: tuple[Divergence, ...]


class Progress(NamedTuple):
    """How far a check has come; `total` is an estimate."""

    stage: str
    done: int
    total: int


def verify(
    mapping: Mapping,
    reader: Reader,
    writer: Writer,
    *,
    held_fingerprint: Callable[[Sequence[Key]], dict[Key, dict[Key, int]]],
    sharing: Sequence[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Compares everything. `held_fingerprint` tells what a target that normalises is known to hold.

    `sharing` names the other mappings of the target, whose records are not this one's extras.
    """
    return _Check(mapping, reader, writer, held_fingerprint, sharing, on_progress).run()


class _Check:
    def __init__(
        self,
        mapping: Mapping,
        reader: Reader,
        writer: Writer,
        held_fingerprint: Callable[[Sequence[Key]], dict[Key, dict[Key, int]]],
        sharing: Sequence[str],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._mapping = mapping
        self._reader = reader
        self._writer = writer
        self._held_fingerprint = held_fingerprint
        self._sharing = frozenset(sharing)
        self._on_progress = on_progress
        self._deriver = Deriver(mapping, reader)
        self._compared = 0
        self._settled = 0
        self._counts: dict[str, int] = {}
        self._shown: list[Divergence] = []

    def run(self) -> Report:
        started = time.time()
        source_keys = self._over_source()
        target_records = self._over_target()
        return Report(
            self._mapping.name,
            not self._counts,
            started,
            time.time(),
            source_keys,
            target_records,
            self._compared,
            self._settled,
            dict(self._counts),
            tuple(self._shown),
        )

    def _over_source(self) -> int:
        total = self._reader.estimate(self._mapping.root.table)
        done = 0
        for page in source_keys(self._reader, self._mapping, PAGE):
            suspects = self._compare(page)
            if suspects:
                self._settle(page, suspects)
            done += len(page)
            self._progress("source", done, total)
        return done

    def _over_target(self) -> int:
        identity = self._writer.identity()
        total = identity.records if identity else 0
        done, after = 0, None
        while identity is not None:
            page = self._writer.scan(after, PAGE)
            suspects = [held for held in page if not self._accounted(held)]
            for held in self._extras(suspects):
                self._extra(held)
            done += len(page)
            self._progress("target", done, total)
            if len(page) < PAGE:
                break
            after = page[-1].key
        return done

    def _accounted(self, held: Held) -> bool:
        """Whether the first pass, or another mapping's check, answers for this record."""
        return held.meta is not None and held.meta.mapping in self._sharing

    def _extras(self, suspects: Sequence[Held]) -> Iterator[Held]:
        """Those that their source key does not derive."""
        mine = [h for h in suspects if h.meta is not None and h.meta.mapping == self._mapping.name]
        strangers = [h for h in suspects if h.meta is None or h.meta.mapping != self._mapping.name]
        yield from strangers
        by_source: dict[Key, list[Held]] = {}
        for held in mine:
            assert held.meta is not None
            by_source.setdefault(held.meta.key, []).append(held)
        derived = self._deriver.derive(list(by_source), time.time()) if by_source else {}
        for key, group in by_source.items():
            wanted = {item.key for item in derived[key].desired}
            if derived[key].error is not None:
                continue  # reported by the pass over the source
            for held in group:
                if held.key not in wanted and self._stays_extra(key, held):
                    yield held

    def _stays_extra(self, key: Key, held: Held) -> bool:
        for _ in range(SETTLE_TRIES):
            time.sleep(SETTLE_WAIT / SETTLE_TRIES)
            one = self._deriver.derive([key], time.time())[key]
            if held.key not in self._writer.read([held.key]) or held.key in {d.key for d in one.desired}:
                self._settled += 1
                return False
        return True

    def _extra(self, held: Held) -> None:
        source = keys.text(held.meta.key) if held.meta is not None else None
        reason = None if held.meta is not None else "not written by Lockstep"
        self._report(Divergence("extra", source, keys.text(held.key), reason=reason))

    def _compare(self, page: Sequence[Key]) -> dict[Key, list[Divergence]]:
        """The keys of a page on which the sides do not agree."""
        derived = self._deriver.derive(page, time.time())
        wanted = [item.key for one in derived.values() for item in one.desired]
        held = self._writer.read(wanted) if wanted else {}
        self._compared += len(wanted)
        found = {key: list(self._judge(one, held)) for key, one in derived.items()}
        doubtful = {key: one for key, one in found.items() if one}
        different = [key for key, one in doubtful.items() if any(d.kind == "different" for d in one)]
        if different:
            self._excuse_normalised(different, derived, held, doubtful)
        return {key: one for key, one in doubtful.items() if one}

    def _excuse_normalised(
        self,
        different: Sequence[Key],
        derived: dict[Key, Derived],
        held: dict[Key, Held],
        doubtful: dict[Key, list[Divergence]],
    ) -> None:
        """What a target changed on write, and still holds, is in agreement: drift is target ≠ held."""
        known = self._held_fingerprint(different)
        for key in different:
            fingerprints = known.get(key, {})
            normal = {
                keys.text(item.key)
                for item in derived[key].desired
                if item.key in held
                and fingerprints.get(item.key) == fingerprint(item.key, canonical(held[item.key].record))
            }
            doubtful[key] = [d for d in doubtful[key] if d.target_key not in normal]

    def _judge(self, one: Derived, held: dict[Key, Held]) -> Iterator[Divergence]:
        source = keys.text(one.key)
        if one.error is not None:
            yield Divergence("failed", source, None, reason=str(one.error))
            return
        for item in one.desired:
            target = keys.text(item.key)
            found = held.get(item.key)
            if found is None:
                yield Divergence("missing", source, target)
                continue
            if fingerprint(item.key, canonical(found.record)) != item.fingerprint:
                yield Divergence("different", source, target, tuple(diff(item.record, found.record)))
            elif found.meta is None or found.meta.mapping != self._mapping.name:
                yield Divergence("different", source, target, reason="it does not say it is from here")

    def _settle(self, page: Sequence[Key], suspects: dict[Key, list[Divergence]]) -> None:
        """Reads and derives suspects again, a few times: a change on its way is no divergence."""
        left = suspects
        compared = self._compared
        for _ in range(SETTLE_TRIES):
            time.sleep(SETTLE_WAIT / SETTLE_TRIES)
            left = self._compare(list(left))
            if not left:
                break
        self._compared = compared  # each record counts once, however often it is looked at
        self._settled += len(suspects) - len(left)
        for found in left.values():
            for divergence in found:
                self._report(divergence)

    def _report(self, divergence: Divergence) -> None:
        self._counts[divergence.kind] = self._counts.get(divergence.kind, 0) + 1
        if len(self._shown) < SHOWN:
            self._shown.append(divergence)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, max(done, total)))


def source_keys(reader: Reader, mapping: Mapping, page: int) -> Iterator[list[Key]]:
    """Every key of a mapping's root, in pages."""
    span: Span | None = EVERYTHING
    while span is not None:
        with reader.snapshot() as snapshot:
            found = snapshot.keys(mapping.root.table, span, page)
        if found.keys:
            yield found.keys
        span = found.rest
