"""What a check found, and what it compared."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from lockstep.agreement.fields import FieldDiff
from lockstep.forms import keys
from lockstep.values import Key

SHOWN = 1_000
_REMEMBERED = 100_000
COPY = "somebody copied it from a record of Lockstep"
STRANGER = "no mapping of this target wrote it"


class Divergence(Struct, frozen=True):
    """One record on which the sides do not agree.

    kind
      missing    the target lacks it
      extra      the target holds it and nobody derives it
      stale      the target holds what Lockstep wrote of an earlier state of the source
      different  the target holds something else
      failed     it cannot be derived
      unsettled  it differs, and what was on its way when that was seen has not been worked in time
      invariant  a group of an invariant, which `key` names, does not come to the same on both sides
      ledger     both sides agree, and the ledger says something else
    `key` is the source key, None for an extra that Lockstep did not write; `source` and `target` are the keys
    themselves. `sent`: the ledger says that what is derived now was sent. `cause`: what probably brought it
    about, as far as the ledger tells.
    """

    kind: str
    key: str | None
    target_key: str | None
    fields: tuple[FieldDiff, ...] = ()
    reason: str | None = None
    cause: str | None = None
    source: Key | None = None
    target: Key | None = None
    sent: bool = False

    @property
    def name(self) -> str:
        """Of the source key that it is about, or of itself where it is about none."""
        return self.subject if self.key is None else self.key

    @property
    def subject(self) -> str:
        """What names it, among the divergences of a mapping."""
        return subject(self.key, self.target_key)

    @property
    def difference(self) -> tuple[object, ...]:
        """What a person looks at who accepts it: which fields differ, and how."""
        return self.subject, self.kind, self.fields, self.reason


def subject(key: str | None, target_key: str | None) -> str:
    """`7`; `7 → ada` where the target key is another; `→ ada` where no source key is said."""
    if target_key is None or target_key == key:
        return key or ""
    return f"{key or ''} → {target_key}".strip()


class Report(Struct, frozen=True):
    """What a check compared, and what it found.

    method       fast (sums of both sides against the ledger; what differs is read), deep (everything derived
                 and read again), sample (a share of the keys, likewise)
    settled      records that differed at first sight: changes on their way
    moving       of those, keys that changed each time they were looked at
    behind       ledger rows with the number of an earlier state whose records agree all the same
    spans        compared by their sums; `differing` of them were read by key
    position     of the source's log when it began
    accepted     divergences that a person has accepted: they do not count
    invariants   that were checked with it
    id           of the durable report
    cancelled    it was stopped before its end: it shows what it had found by then, and is no agreement
    resumed_at   when it went on after it had been interrupted; the keys before were looked at earlier
    notes        what a person should know of how it was compared: which side was read for want of sums
    divergences  the first thousand; `counts` holds all of them by kind
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
    method: str = "deep"
    moving: int = 0
    behind: int = 0
    spans: int = 0
    differing: int = 0
    notes: tuple[str, ...] = ()
    position: str | None = None
    accepted: int = 0
    invariants: int = 0
    id: int | None = None
    cancelled: bool = False
    resumed_at: float | None = None


class Progress(NamedTuple):
    """How far a check has come; `total` is an estimate."""

    stage: str
    done: int
    total: int


class Findings:
    """Collects what a check finds. `settled`, `moving`, `behind`: see `Report`. `unjudged`: names of what it
    looked at and could say nothing certain of, as far as they are remembered (`forgetful`: not all are)."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.shown: list[Divergence] = []
        self.settled = self.moving = self.behind = 0
        self.unjudged: set[str] = set()
        self._unowned = 0
        self._where: set[Key] = set()
        self._added: set[int] = set()

    def report(
        self,
        mapping: str,
        method: str,
        started_at: float,
        source_keys: int,
        target_records: int,
        compared: int,
        *,
        notes: Sequence[str] = (),
        spans: int = 0,
        differing: int = 0,
        cancelled: bool = False,
        resumed_at: float | None = None,
    ) -> Report:
        """All of it, at the end of a check."""
        return Report(
            mapping,
            not self.counts and not cancelled,
            started_at,
            time.time(),
            source_keys,
            target_records,
            compared,
            self.settled,
            dict(self.counts),
            tuple(self.shown),
            method,
            self.moving,
            self.behind,
            spans,
            differing,
            tuple(notes),
            cancelled=cancelled,
            resumed_at=resumed_at,
        )

    @property
    def forgetful(self) -> bool:
        return len(self.unjudged) >= _REMEMBERED

    def doubt(self, names: Iterable[str]) -> int:
        """Of these nothing certain can be said, by a source key or by a subject; how many are new."""
        new = {*names} - self.unjudged
        if not self.forgetful:
            self.unjudged |= new
        return len(new)

    @property
    def room(self) -> bool:
        """Whether another divergence would be shown, not only counted."""
        return len(self.shown) < SHOWN

    def unowned(self, target_key: Key) -> None:
        """A record of nobody's stands where a source key means another one, which was added: it is no
        stranger besides."""
        self._unowned += 1
        if len(self._where) < _REMEMBERED:
            self._where.add(target_key)

    def strangers(self, count: int, some: Sequence[Key]) -> None:
        """Adds the records that no mapping wrote: how many there are, and the keys of some of them."""
        for key in some:
            if key not in self._where:
                self.add(Divergence("extra", None, keys.text(key), reason=STRANGER, target=key))
        named = sum(key in self._where for key in some)
        more = count - len(some) - (self._unowned - named)
        if count > len(some) and more > 0:
            self.counts["extra"] = self.counts.get("extra", 0) + more

    def add(self, divergence: Divergence) -> None:
        """Once: a key that is looked at again, for another of its records, may show the same again."""
        if divergence.kind == "unsettled":
            self.doubt([divergence.name])
        mark = hash((divergence.kind, divergence.key, divergence.target_key))
        if mark in self._added:
            return
        if len(self._added) < _REMEMBERED:
            self._added.add(mark)
        self.counts[divergence.kind] = self.counts.get(divergence.kind, 0) + 1
        if self.room:
            self.shown.append(divergence)
