"""The deep check: trusts nothing stored. Derives every record again and reads every target record.

First over the source's keys: what it derives must be in the target, equal. Then over the target: what
it holds must be derived by somebody. Where it holds just the records that the first pass met, that is
shown, and nothing is derived twice. What differs is settled before it is reported: read and derived
again, so that a change on its way is not called a divergence. Nothing is written, nothing is hinted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as MappingOf
from typing import NamedTuple

from msgspec import Struct

from lockstep import keys
from lockstep.agreement.fields import FieldDiff, diff
from lockstep.canonical import canonical, fingerprint
from lockstep.engine.derive import Derived, Deriver
from lockstep.guard.door import Door
from lockstep.mapping import Mapping
from lockstep.ports import Reader
from lockstep.state.rows import Owned
from lockstep.values import EVERYTHING, Held, Key, Span

PAGE = 1_000
SETTLE_TRIES = 5
SETTLE_WAIT = 1.0
SHOWN = 1_000


Ledger = Callable[[Sequence[Key]], dict[Key, MappingOf[Key, Owned]]]
"""What the ledger says that source keys own, by target key."""


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
    door: Door,
    *,
    ledger: Ledger,
    sharing: Sequence[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Compares everything. `ledger` tells what was sent, and what a target that normalises made of it.

    `sharing` names the other mappings of the target, whose records are not this one's extras.
    """
    return _Check(mapping, reader, door, ledger, sharing, on_progress).run()


class _Check:
    def __init__(
        self,
        mapping: Mapping,
        reader: Reader,
        door: Door,
        ledger: Ledger,
        sharing: Sequence[str],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._mapping = mapping
        self._reader = reader
        self._door = door
        self._ledger = ledger
        self._known = {mapping.name, *sharing}
        self._on_progress = on_progress
        self._deriver = Deriver(mapping, reader)
        self._compared = 0
        self._met = 0  # the sum of `_mark` over the records that the pass over the source met
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
            met: dict[Key, int] = {}
            suspects = self._compare(page, met)
            if suspects:
                self._settle(suspects, met)
            self._met += sum(met.values())
            done += len(page)
            self._progress("source", done, total)
        return done

    def _over_target(self) -> int:
        """Reports what is not ours; derives what is only where pass one did not meet just the same."""
        done = found = 0
        for page in self._target_pages():
            for held in page:
                if held.meta is None or held.meta.mapping not in self._known:
                    self._extra(held)
                elif held.meta.mapping == self._mapping.name:
                    found += _mark(held.key, held.meta.key)
            done += len(page)
        if found != self._met:
            for page in self._target_pages():
                for held in self._extras(page):
                    self._extra(held)
        return done

    def _target_pages(self) -> Iterator[list[Held]]:
        """Every record of the target, in pages."""
        if self._door.identity() is None:
            return
        total = self._door.contents().records
        done, after = 0, None
        while True:
            page = self._door.scan(after, PAGE)
            yield page
            done += len(page)
            self._progress("target", done, total)
            if len(page) < PAGE:
                return
            after = page[-1].key

    def _extras(self, page: Sequence[Held]) -> list[Held]:
        """Those of a page that say they are from here, and that their source key does not derive.

        They are settled together: a page costs one wait, one derivation and one read a try.
        """
        suspects = left = self._not_derived(page)
        for _ in range(SETTLE_TRIES):
            if not left:
                break
            time.sleep(SETTLE_WAIT / SETTLE_TRIES)
            now = self._door.read([held.key for held in left])
            left = self._not_derived([now[held.key] for held in left if held.key in now])
        self._settled += len(suspects) - len(left)
        return left

    def _not_derived(self, page: Sequence[Held]) -> list[Held]:
        name = self._mapping.name
        mine = [(held, held.meta.key) for held in page if held.meta is not None and held.meta.mapping == name]
        derived = self._deriver.derive(list(dict.fromkeys(source for _, source in mine)), time.time())
        wanted = {(item.key, key) for key, one in derived.items() for item in one.desired}
        # What cannot be derived is reported by the pass over the source.
        return [h for h, source in mine if (h.key, source) not in wanted and derived[source].error is None]

    def _extra(self, held: Held) -> None:
        source = keys.text(held.meta.key) if held.meta is not None else None
        reason = None if held.meta is not None else "not written by Lockstep"
        self._report(Divergence("extra", source, keys.text(held.key), reason=reason))

    def _compare(self, page: Sequence[Key], met: dict[Key, int]) -> dict[Key, list[Divergence]]:
        """The keys of a page on which the sides do not agree. Notes in `met` what is from each key."""
        derived = self._deriver.derive(page, time.time())
        wanted = [item.key for one in derived.values() for item in one.desired]
        held = self._door.read(wanted) if wanted else {}
        self._compared += len(wanted)
        found = {key: list(self._judge(one, held)) for key, one in derived.items()}
        for key, one in derived.items():
            met[key] = sum(_mark(d.key, key) for d in one.desired if self._from(key, held.get(d.key)))
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
        """What was sent as it is derived now, and the target changed on write and still holds, agrees."""
        known = self._ledger(different)
        for key in different:
            normal = set()
            for item in derived[key].desired:
                owned, found = known[key].get(item.key) if key in known else None, held.get(item.key)
                if owned is None or owned.sent != item.fingerprint or found is None:
                    continue
                if self._from(key, found) and owned.held == fingerprint(item.key, canonical(found.record)):
                    normal.add(keys.text(item.key))
            doubtful[key] = [d for d in doubtful[key] if d.target_key not in normal]

    def _from(self, key: Key, held: Held | None) -> bool:
        """Whether a record says that it is from this source key."""
        meta = held.meta if held is not None else None
        return meta is not None and (meta.mapping, meta.key) == (self._mapping.name, key)

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
            elif found.meta is None or (found.meta.mapping, found.meta.key) != (self._mapping.name, one.key):
                yield Divergence("different", source, target, reason="it does not say it is from here")

    def _settle(self, suspects: dict[Key, list[Divergence]], met: dict[Key, int]) -> None:
        """Reads and derives suspects again, a few times: a change on its way is no divergence."""
        left = suspects
        compared = self._compared
        for _ in range(SETTLE_TRIES):
            time.sleep(SETTLE_WAIT / SETTLE_TRIES)
            left = self._compare(list(left), met)
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


def _mark(target: Key, source: Key) -> int:
    """A record in one number. Two passes whose sums are equal met the same records, and a sum needs no
    memory; a mere count would let a record that went hide one that nobody derives."""
    return hash((target, source))


def source_keys(reader: Reader, mapping: Mapping, page: int) -> Iterator[list[Key]]:
    """Every key of a mapping's root, in pages."""
    span: Span | None = EVERYTHING
    while span is not None:
        with reader.snapshot() as snapshot:
            found = snapshot.keys(mapping.root.table, span, page)
        if found.keys:
            yield found.keys
        span = found.rest
