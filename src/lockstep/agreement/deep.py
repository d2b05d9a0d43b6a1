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
from collections.abc import Callable, Iterator, Mapping, Sequence

from lockstep import keys
from lockstep.agreement.fast import Scope
from lockstep.agreement.report import STRANGER, Divergence, Findings, Progress, Report
from lockstep.agreement.suspects import Settler
from lockstep.canonical import canonical, fingerprint
from lockstep.engine.decide import owned
from lockstep.engine.derive import Derived, Deriver
from lockstep.mapping import Mapping as Declared
from lockstep.ports import Reader
from lockstep.state.rows import Row
from lockstep.values import EVERYTHING, Held, Key, Span

PAGE = 1_000
_BUCKETS = 1_024

OnProgress = Callable[[Progress], None]


def deep(scope: Scope, on_progress: OnProgress | None = None, *notes: str) -> Report:
    """Compares everything, field by field."""
    check = _Deep(scope, on_progress)
    started = time.time()
    source_keys = check.over_source()
    target_records = check.over_target()
    return check.report("deep", started, source_keys, target_records, *notes)


def sample(scope: Scope, share: float, on_progress: OnProgress | None = None) -> Report:
    """Compares a share of the source keys, chosen anew each time, field by field."""
    check = _Deep(scope, on_progress)
    started = time.time()
    looked_at = check.over_some(share, random.randrange(1 << 32))
    return check.report("sample", started, looked_at, check.compared, _confidence(looked_at))


def _confidence(looked_at: int) -> str:
    """What a sample without a divergence says of the rest: with 95 % confidence below 3 in n differ."""
    if looked_at < 3:
        return f"{looked_at:,} keys were looked at, which says nothing of the others"
    return (
        f"{looked_at:,} keys were looked at: where none differs, fewer than 1 in {looked_at // 3:,} of all "
        "keys do, with 95 % confidence; records that nobody derives are not looked for"
    )


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
        self._findings = Findings()
        self._settler = Settler(
            scope.mapping,
            self._deriver,
            scope.door,
            scope.rows,
            scope.intended,
            scope.barrier,
            self._findings,
        )
        self._met = [0] * _BUCKETS  # by source key: the sum of `_mark` over the records that were met
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
        for page in source_keys(self._reader, self._mapping, PAGE):
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
            self._settler.settle({key: set() for key in self._suspects(some)})
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
        done = 0
        for page in self._target_pages():
            for held in page:
                if held.meta is None or held.meta.mapping not in self._known:
                    target = keys.text(held.key)
                    self._findings.add(Divergence("extra", None, target, reason=STRANGER, target=held.key))
                elif held.meta.mapping == self._mapping.name:
                    self._met[_bucket(held.meta.key)] -= _mark(held.key, held.meta.key)
            done += len(page)
        if any(self._met):
            for page in self._target_pages():
                self._settler.settle(self._not_derived(page))
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

    def _not_derived(self, page: Sequence[Held]) -> dict[Key, set[Key]]:
        """Target keys of a page whose records say that they are from here and whose source key does not
        derive them."""
        mine: dict[Key, set[Key]] = {}
        for held in page:
            meta = held.meta
            if meta is not None and meta.mapping == self._mapping.name and self._met[_bucket(meta.key)]:
                mine.setdefault(meta.key, set()).add(held.key)
        suspects: dict[Key, set[Key]] = {}
        for key, one in self._deriver.derive(list(mine), time.time()).items():
            left = mine[key].difference(item.key for item in one.desired)
            if left and one.error is None:  # what cannot be derived was reported by the pass over the source
                suspects[key] = left
        return suspects

    def _suspects(self, page: Sequence[Key]) -> list[Key]:
        """The keys of a page on which the sides do not agree at first sight. Notes what is from each key."""
        derived = self._deriver.derive(page, time.time())
        wanted = [item.key for one in derived.values() for item in one.desired]
        held = self._door.read(wanted) if wanted else {}
        self.compared += len(wanted)
        for key, one in derived.items():
            met = (item.key for item in one.desired if self._from(key, held.get(item.key)))
            self._met[_bucket(key)] += sum(_mark(target_key, key) for target_key in met)
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


def _bucket(source: Key) -> int:
    return zlib.crc32(source) % _BUCKETS
