"""The deep check: trusts nothing stored. Derives every record again and reads every target record.

First over the source's keys: what it derives must be in the target, equal. Then over the target: what it
holds must be derived by somebody. Where the records that say they are from some keys are those that the first
pass met, that is shown, and nothing is derived twice. What differs is a suspect: see `suspects`.

A sample does the same for a share of the source keys, of those in the source and those in the ledger.
"""

from __future__ import annotations

import random
import time
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lockstep import keys
from lockstep.agreement.fast import SPAN, SPANS, Scope
from lockstep.agreement.report import SHOWN, Progress, Report
from lockstep.agreement.suspects import Settler
from lockstep.canonical import canonical, fingerprint, wrap64
from lockstep.engine.decide import owned
from lockstep.engine.derive import Derived, Deriver
from lockstep.errors import CannotSum, DataError
from lockstep.mapping import Mapping as Declared
from lockstep.ports import Reader
from lockstep.state.rows import Row
from lockstep.values import EVERYTHING, Held, Key, Listed, Span

PAGE = 1_000

T = TypeVar("T")
OnProgress = Callable[[Progress], None]


def deep(scope: Scope, on_progress: OnProgress | None = None, *notes: str) -> Report:
    """Compares everything, field by field."""
    check = _Deep(scope, on_progress)
    started = time.time()
    source_keys = check.over_source()
    target_records = check.over_target()
    return check.report("deep", started, source_keys, target_records, *notes)


def sample(scope: Scope, share: float, on_progress: OnProgress | None = None) -> Report:
    """Compares a share of the source keys, chosen anew each time, field by field.

    Raises DataError where no key fell into it: having looked at nothing is no agreement.
    """
    check = _Deep(scope, on_progress)
    started = time.time()
    looked_at = check.over_some(share, random.randrange(1 << 32))
    if not looked_at:
        raise DataError(
            "no key fell into the sample, or the source has none: nothing was compared",
            "Take a larger share, as --sample 10%, or look at all keys with --deep.",
        )
    return check.report("sample", started, looked_at, check.compared, _confidence(looked_at))


def _confidence(looked_at: int) -> str:
    """What a sample without a divergence says of the rest: with 95 % confidence below 3 in n differ."""
    if looked_at < 3:
        return f"{looked_at:,} keys were looked at, which says nothing of the others"
    return (
        f"{looked_at:,} keys were looked at: where none differs, fewer than 1 in {looked_at // 3:,} of all "
        "keys do, with 95 % confidence; records that nobody derives are not looked for"
    )


@dataclass
class _Met:
    """Records of one span of source keys that pass one met: how many, the sum of the fingerprints that they
    carry, and that of `_mark`."""

    records: int = 0
    fingerprints: int = 0
    marks: int = 0


class _Deep:
    def __init__(self, scope: Scope, on_progress: OnProgress | None) -> None:
        self._mapping = scope.mapping
        self._reader = scope.reader
        self._door = scope.door
        self._ledger = scope.ledger
        self._rows = scope.rows
        self._known = {scope.mapping.name, *scope.sharing}
        self._on_progress = on_progress
        self._deriver = Deriver(scope.mapping, scope.reader)
        self._findings = scope.findings
        self._settler = Settler(
            scope.mapping,
            self._deriver,
            scope.door,
            scope.rows,
            scope.intended,
            scope.barrier,
            self._findings,
            scope.sharing,
        )
        self._cuts = [cut for cut in scope.ledger.cuts(SPAN, SPANS) if keys.readable(cut)]
        self._spans = [_Met() for _ in range(len(self._cuts) + 1)]
        self.compared = 0

    def report(self, method: str, started: float, keys_: int, records: int, *notes: str) -> Report:
        found = self._findings
        return Report(
            self._mapping.name,
            not found.counts,
            started,
            time.time(),
            keys_,
            records,
            self.compared,
            found.settled,
            dict(found.counts),
            tuple(found.shown),
            method,
            found.moving,
            found.behind,
            notes=notes,
        )

    def over_source(self) -> int:
        total = self._reader.estimate(self._mapping.root.table)
        done = 0
        ahead = Deriver(self._mapping, self._reader)  # the settler has one of its own, for another thread
        pages = source_keys(self._reader, self._mapping, PAGE)
        for page in _ahead(pages, lambda keys_: ahead.derive(keys_, time.time())):
            self._settler.settle({key: set() for key in self._suspects(page)})
            done += len(page)
            self._progress("source", done, total)
        return done

    def over_some(self, share: float, seed: int) -> int:
        """The keys of the source, and those of the ledger that the source has no more."""
        limit = share * (1 << 32)
        total = self._reader.estimate(self._mapping.root.table)
        done = looked_at = 0

        def chosen(page: Sequence[Key]) -> list[Key]:
            return [key for key in page if zlib.crc32(key, seed) < limit]

        for keys_ in source_keys(self._reader, self._mapping, 10 * PAGE):
            some = chosen(keys_)
            derived = self._deriver.derive(some, time.time())
            self._settler.settle({key: set() for key in self._suspects(derived)})
            looked_at += len(some)
            done += len(keys_)
            self._progress("source", done, total)
        for rows in self._ledger.rows(EVERYTHING, 10 * PAGE):
            some = chosen([row.key for row in rows])
            gone = [key for key, one in self._deriver.derive(some, time.time()).items() if one.root is None]
            self._settler.settle({key: set() for key in gone})
        return looked_at

    def over_target(self) -> int:
        """Reports what is not ours; looks again only at keys that have other records than pass one met."""
        if self._door.identity() is None:
            return 0
        try:
            return self._over_sums()
        except CannotSum:
            return self._over_records()

    def _over_sums(self) -> int:
        """By what records say of themselves, summed in the target; listed only where pass one met others."""
        name = self._mapping.name
        count, some = self._door.strangers(sorted(self._known), SHOWN)
        sums = self._door.sums(name, self._cuts)
        records = count + sum(tally.records for tally in sums)
        self._progress("target", records, records)
        self._findings.strangers(count, some)
        bounds = [None, *self._cuts, None]
        for n, tally in enumerate(sums):
            met = self._spans[n]
            if (tally.records, tally.total) == (met.records, wrap64(met.fingerprints)):
                continue
            said = [
                (mark.key, mark.meta.key)
                for page in self._door.marks(name, Span(bounds[n], bounds[n + 1]))
                for mark in page
            ]
            if sum(_mark(*one) for one in said) != met.marks:
                self._settler.settle(self._not_derived(said))
        return records

    def _over_records(self) -> int:
        """By asking for every record once more, though not for what is in it."""
        done = count = 0
        some: list[Key] = []
        left = [met.marks for met in self._spans]
        for page in self._target_pages():
            for held in page:
                if held.meta is None or held.meta.mapping not in self._known:
                    count += 1
                    if len(some) < SHOWN:
                        some.append(held.key)
                elif held.meta.mapping == self._mapping.name:
                    left[self._span(held.meta.key)] -= _mark(held.key, held.meta.key)
            done += len(page)
        self._findings.strangers(count, some)
        if any(left):
            for page in self._target_pages():
                mine = [(held.key, meta) for held in page if (meta := held.meta) is not None]
                said = [(key, meta.key) for key, meta in mine if meta.mapping == self._mapping.name]
                self._settler.settle(self._not_derived([one for one in said if left[self._span(one[1])]]))
        return done

    def _target_pages(self) -> Iterator[list[Listed]]:
        """Every record of the target, in pages."""
        total = self._door.contents().records
        done, after = 0, None
        while True:
            page = self._door.listed(after, PAGE)
            yield page
            done += len(page)
            self._progress("target", done, total)
            if len(page) < PAGE:
                return
            after = page[-1].key

    def _not_derived(self, said: Sequence[tuple[Key, Key]]) -> dict[Key, set[Key]]:
        """Target keys, by the source key that their records say they are from, which does not derive them."""
        mine: dict[Key, set[Key]] = {}
        for target_key, source in said:
            mine.setdefault(source, set()).add(target_key)
        suspects: dict[Key, set[Key]] = {}
        for key, one in self._deriver.derive(list(mine), time.time()).items():
            left = mine[key].difference(item.key for item in one.desired)
            if left and one.error is None:  # what cannot be derived was reported by the pass over the source
                suspects[key] = left
        return suspects

    def _suspects(self, derived: Mapping[Key, Derived]) -> list[Key]:
        """The keys on which the sides do not agree at first sight. Notes what is from each key."""
        wanted = [item.key for one in derived.values() for item in one.desired]
        held = self._door.read(wanted) if wanted else {}
        self.compared += len(wanted)
        for key, one in derived.items():
            met = self._spans[self._span(key)]
            for item in one.desired:
                found = held.get(item.key)
                if found is not None and found.meta is not None and self._from(key, found):
                    met.records += 1
                    met.fingerprints += found.meta.fingerprint
                    met.marks += _mark(item.key, key)
        rows = self._rows(list(derived))
        return [key for key, one in derived.items() if not self._agrees(one, held, rows.get(key))]

    def _agrees(self, one: Derived, held: Mapping[Key, Held], row: Row | None) -> bool:
        """Whether source and target agree on a key, and the ledger with them.

        What a target that normalises made of a record is known from the ledger alone.
        """
        if one.error is not None:
            return False
        known = owned(row, self._mapping.default_key)
        if len(known) != len(one.desired) and (row is None or not row.void):
            return False
        for item in one.desired:
            found = held.get(item.key)
            if found is None or not self._from(one.key, found):
                return False
            actual = fingerprint(item.key, canonical(found.record))
            sent = known.get(item.key)
            said = sent is not None and sent.sent == item.fingerprint
            if actual != item.fingerprint and not (said and sent is not None and sent.held == actual):
                return False
            if not said and (row is None or not row.void):
                return False
        return True

    def _span(self, key: Key) -> int:
        return bisect_left(self._cuts, key)

    def _from(self, key: Key, held: Held | None) -> bool:
        """Whether a record says that it is from this source key."""
        meta = held.meta if held is not None else None
        return meta is not None and (meta.mapping, meta.key) == (self._mapping.name, key)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, max(done, total)))


def source_keys(reader: Reader, mapping: Declared, page: int) -> Iterator[list[Key]]:
    """Every key of a mapping's root, in pages."""
    span: Span | None = EVERYTHING
    while span is not None:
        with reader.snapshot() as snapshot:
            found = snapshot.keys(mapping.root.table, span, page)
        if found.keys:
            yield found.keys
        span = found.rest


def _mark(target: Key, source: Key) -> int:
    """A record in one number. Two passes whose sums are equal met the same records, and a sum needs no
    memory; a mere count would let a record that went hide one that nobody derives."""
    return hash((target, source))


def _ahead(pages: Iterator[list[Key]], make: Callable[[list[Key]], T]) -> Iterator[T]:
    """What is made of each page, made of the next one in a thread while this one is looked at."""
    with ThreadPoolExecutor(1, thread_name_prefix="lockstep-derive") as pool:
        waiting: Future[T] | None = None
        for page in pages:
            made = pool.submit(make, page)
            if waiting is not None:
                yield waiting.result()
            waiting = made
        if waiting is not None:
            yield waiting.result()
