"""Adoption: a target that holds records Lockstep did not write is taken over without rewriting what is equal.

Every source key is derived, and what it means is looked for in the target. What is equal gets Lockstep's
metadata and a ledger row; what differs gets a ledger row that says so (`sent` is what was derived, `held`
what is there), so that a run leaves it until the source changes it; what is missing gets nothing, and the
first load writes it. Order is that of every write: intent, target, ledger. Each page may be done twice.

What the target alone holds is found by two numbers for each of many buckets of keys: bounded, however many
there are.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from lockstep.agreement.matched import Example, Found, become, matched, told
from lockstep.agreement.report import Progress
from lockstep.agreement.walk import source_keys
from lockstep.declaration.mapping import Mapping as Declared
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.settle import make_row
from lockstep.errors import Unreachable
from lockstep.forms import keys
from lockstep.forms.canonical import wrap64
from lockstep.guard.door import Door, Plan
from lockstep.ports import Foreign, Reader
from lockstep.state.ledger import Ledger
from lockstep.state.rows import Intent, Owned, Row, Settlement, Wrote, encode_wrote
from lockstep.values import Held, Key, Status, Version

PAGE = 1_000
EXAMPLES = 20
"""Of each kind."""

_BUCKETS = 1 << 18

_THERE = ("equal", "different", "failed")
"""Kinds of what a source key means and the target has, and nobody else owns."""


class Writing(NamedTuple):
    """What it takes to take over, and not just to look. `take`: what differs is to be written."""

    consumer: int
    generation: int
    ledger: Ledger
    lease: Lease
    claims: bool
    hint: Callable[[Sequence[Key]], None]
    take: bool


class Adoption:
    """One pass over source and target. `counts` and `examples` are by kind.

    equal        the target holds what the source key means
    different    it holds something else at that key
    source-only  it holds nothing there: the first load writes it
    target-only  no source key means it: it is left
    taken        another mapping, or another source key, owns the target key
    failed       it cannot be derived, or the target would not take it
    """

    def __init__(
        self,
        mapping: Declared,
        reader: Reader,
        door: Door,
        writing: Writing | None,
        on_progress: Callable[[Progress], None] | None,
        stopped: Callable[[], bool],
    ) -> None:
        self._mapping, self._reader, self._door = mapping, reader, door
        self._foreign: Foreign = door.foreign()
        self._writing = writing
        self._on_progress = on_progress
        self._stopped = stopped
        self._left = array("Q", bytes(8 * _BUCKETS))
        self._met = 0
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[Example]] = defaultdict(list)
        self.source_keys = 0
        self.target_records = 0

    def over_source(self) -> bool:
        """Matches every source key; False when stopped before the end."""
        deriver = Deriver(self._mapping, self._reader)
        total = self._reader.estimate(self._mapping.root.table)
        for page in source_keys(self._reader, self._mapping, PAGE):
            if self._stopped():
                return False
            rest: Sequence[Key] = page
            while rest:
                now = time.time()
                version = Version(0) if self._writing is None else self._writing.lease.next_version()
                derived = deriver.some(rest, now)
                self._page(derived, version, now)
                rest = rest[len(derived) :]
            self.source_keys += len(page)
            self._progress("source", self.source_keys, total)
        return True

    def over_target(self) -> bool:
        """Counts what no source key means; False when stopped before the end."""
        total = self._foreign.records() or 0
        for page in self._pages():
            if self._stopped():
                return False
            for held in page:
                if self._nobodys(held):
                    self.counts["target-only"] += 1
                    self._note(held.key, 1)
            self.target_records += len(page)
            self._progress("target", self.target_records, total)
        self.counts["target-only"] = max(self.counts["target-only"] - self._met, 0)
        if self.counts["target-only"]:
            self._name_strangers()
        return True

    def _name_strangers(self) -> None:
        """A bucket in which one record is left over holds the number of that record's key."""
        shown = self.examples["target-only"]
        for page in self._pages():
            for held in page:
                if self._nobodys(held) and self._left[_bucket(held.key)] == _number(held.key):
                    shown.append(Example("target-only", None, keys.text(held.key)))
                    if len(shown) >= min(EXAMPLES, self.counts["target-only"]):
                        return
            if self._stopped():
                return

    def _nobodys(self, held: Held) -> bool:
        return held.meta is None or held.meta.mapping == self._mapping.name

    def _pages(self) -> Iterator[list[Held]]:
        after: Key | None = None
        while page := self._foreign.scan(after, PAGE):
            yield page
            after = page[-1].key

    def _page(self, derived: Mapping[Key, Derived], version: Version, now: float) -> None:
        wanted = [item.key for one in derived.values() for item in one.desired]
        held = self._foreign.read(wanted) if wanted else {}
        found = {key: [*self._matched(one, held, version)] for key, one in derived.items()}
        if self._writing is not None:
            found = self._take(self._writing, derived, found, version, now)
        for one in (one for some in found.values() for one in some):
            self.counts[one.kind] += 1
            if one.kind in _THERE:
                self._met += 1
                self._note(one.item.key, -1)
            if (one.kind != "equal" or one.example.reason) and len(self.examples[one.kind]) < EXAMPLES:
                self.examples[one.kind].append(one.example)

    def _matched(self, one: Derived, held: Mapping[Key, Held], version: Version) -> Iterator[Found]:
        if one.error is None:
            yield from matched(self._mapping.name, self._foreign, one, held, version)
            return
        self.counts["failed"] += 1
        if len(self.examples["failed"]) < EXAMPLES:
            said = Example("failed", keys.text(one.key), None, reason=told(one.error))
            self.examples["failed"].append(said)

    def _take(
        self,
        writing: Writing,
        derived: Mapping[Key, Derived],
        found: dict[Key, list[Found]],
        version: Version,
        now: float,
    ) -> dict[Key, list[Found]]:
        """Intent, target, ledger; what it came to."""
        matched = {
            key: [one for one in some if one.kind in ("equal", "different")] for key, some in found.items()
        }
        intents = [Intent(key, [one.item.key for one in some], ()) for key, some in matched.items() if some]
        self._forget(writing, [key for key, some in matched.items() if not some])
        if not intents:
            return found
        refused = writing.lease.under(
            lambda epoch: writing.ledger.intend(
                epoch, writing.generation, writing.consumer, version, intents, claiming=writing.claims
            )
        )
        passing("intended")
        for key, owner in refused.items():
            reason = f"it belongs to {owner.mapping} key {keys.text(owner.key)}"
            found[key] = [become(one, "taken", reason) for one in found[key]]
        equal = [(key, n) for key, some in found.items() for n, one in enumerate(some) if one.kind == "equal"]
        changes = [found[key][n].change for key, n in equal]
        outcomes = self._door.own(Plan(self._mapping.name, writing.generation, changes)) if changes else ()
        passing("written")
        for (key, n), outcome in zip(equal, outcomes, strict=True):
            if outcome.status is Status.UNKNOWN:
                raise Unreachable(
                    f"nobody can say what became of a record: {outcome.reason}",
                    f"Run `lockstep adopt {self._mapping.name}` again: it goes on.",
                )
            if outcome.status not in (Status.APPLIED, Status.UNCHANGED):
                found[key][n] = become(found[key][n], "different", outcome.reason)
        self._door.pass_over(
            [one.change for some in found.values() for one in some if one.kind == "different"]
        )
        self._settle(writing, derived, found, version, now)
        return found

    def _settle(
        self,
        writing: Writing,
        derived: Mapping[Key, Derived],
        found: Mapping[Key, list[Found]],
        version: Version,
        now: float,
    ) -> None:
        rows: list[Row] = []
        hinted: list[Key] = []
        wrote = encode_wrote(Wrote("adopt", None, now))
        for key, some in found.items():
            known = [one for one in some if one.kind in ("equal", "different")]
            if not known:
                continue
            void = writing.take and any(one.kind == "different" for one in known)
            owns = {one.item.key: _owned(one, void=void) for one in known}
            default = self._mapping.default_key(key) if self._mapping.key_is_root_key else None
            made = make_row(key, owns, default)
            one = derived[key]
            rows.append(Row(key, made.sent, made.held, made.targets, one.sum, version, void, one.due, wrote))
            if void:
                hinted.append(key)
        if hinted:
            writing.hint(hinted)
        done = Settlement(writing.consumer, version, rows, (), (), (), (), {}, 0)
        writing.lease.under(lambda epoch: writing.ledger.settle(epoch, writing.generation, done))
        passing("settled")

    def _forget(self, writing: Writing, keys: Sequence[Key]) -> None:
        """What an adoption that was broken off took over, and is not as it was any more: it is compared with
        the target by the next run."""
        known = writing.ledger.rows(writing.consumer, keys)
        if not known:
            return
        writing.hint(list(known))
        found: dict[Key, tuple[Key, ...]] = dict.fromkeys(known, ())
        default = self._mapping.default_key
        writing.lease.under(
            lambda epoch: writing.ledger.adopt(
                epoch, writing.generation, writing.consumer, found, default, claiming=False
            )
        )

    def _note(self, key: Key, sign: int) -> None:
        at = _bucket(key)
        self._left[at] = (self._left[at] + sign * _number(key)) % (1 << 64)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, max(done, total)))


def _owned(one: Found, *, void: bool) -> Owned:
    if void and one.kind == "different":
        return Owned(one.item.key)
    held = None if one.held == one.item.fingerprint else one.held
    return Owned(one.item.key, one.item.fingerprint, held, left=one.kind == "different")


def _bucket(key: Key) -> int:
    return crc32(key) % _BUCKETS


def _number(key: Key) -> int:
    return wrap64(hash(key)) % (1 << 64) or 1
