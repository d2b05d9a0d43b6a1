"""The one door for writes. Nobody holds a bare Writer, only this.

A batch passes every policy or is held: the engine has it judged before it makes the intent (`admit`), in the
same transaction that counts it; what comes unannounced is judged by its own numbers alone. Who only looks
(plan, explain, verify) holds a door that is closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lockstep.errors import CannotSum, Declined
from lockstep.guard.policies import POLICIES, Own
from lockstep.guard.policy import HeldBack, Policy
from lockstep.limits import Guard, Numbers
from lockstep.ports import (
    AdoptingWriter,
    ByMeaning,
    Copying,
    EstimatingWriter,
    Foreign,
    GroupingWriter,
    ListingWriter,
    Moving,
    SummingWriter,
    Writer,
)
from lockstep.ports.steps import PreviewingWriter, SteppingWriter, Steps
from lockstep.values import (
    EVERYTHING,
    Change,
    Contents,
    Estimate,
    Held,
    Identity,
    Key,
    Listed,
    Mark,
    Outcome,
    Span,
    Tallies,
    Version,
)

_ADMITTED = 64
"""Batches that were judged and may still be written: more than are ever in flight."""


class Plan(NamedTuple):
    """The writes of one batch of one mapping."""

    mapping: str
    generation: int
    changes: Sequence[Change]

    def numbers(self, known: int) -> Numbers:
        removes = sum(change.record is None for change in self.changes)
        return Numbers(removes=removes, known=known)


class Door:
    """A guarded Writer: reads pass, writes pass when every policy says go."""

    def __init__(
        self, writer: Writer, guard: Guard | None = None, policies: Sequence[Policy] = POLICIES
    ) -> None:
        self._writer = writer
        self.guard = guard or Guard()
        self._policies = (*policies, *map(Own, self.guard.also))
        self._admitted: deque[Version] = deque(maxlen=_ADMITTED)
        self._records = 0
        self._foreign: Foreign | None = None

    @property
    def parallel(self) -> int:
        """How many writes at once the target takes."""
        return self._writer.features.parallel

    @property
    def portion(self) -> int | None:
        """Of how many changes one write is made at most."""
        return self._writer.features.portion

    def identity(self) -> Identity | None:
        return self._writer.identity()

    def contents(self) -> Contents:
        found = self._writer.contents()
        self._records = found.records
        return found

    def estimate(self) -> Estimate | None:
        """What the target says of itself for next to nothing; None where it has to be counted."""
        return self._writer.estimate() if isinstance(self._writer, EstimatingWriter) else None

    def create(self, marker: str) -> Identity:
        """Builds the target, empty: a plan without changes. Raises HeldBack."""
        self.judge(Numbers())
        return self._writer.create(marker)

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        return self._writer.read(keys)

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        return self._writer.scan(after, limit)

    def listed(self, after: Key | None, limit: int) -> list[Listed]:
        """As a scan, without the records, for as little as the target asks for it."""
        if isinstance(self._writer, ListingWriter):
            return self._writer.listed(after, limit)
        return [Listed(held.key, held.meta) for held in self._writer.scan(after, limit)]

    def sums(self, mapping: str, cuts: Sequence[Key], within: Span = EVERYTHING) -> Tallies:
        """See `SummingWriter`; so with the three below. Raises CannotSum."""
        return self._summing().sums(mapping, cuts, within)

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        return self._summing().marks(mapping, span)

    def edited(self, mapping: str, limit: int) -> list[Mark]:
        return self._summing().edited(mapping, limit)

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        return self._summing().strangers(mappings, limit)

    def groups(self, of: str | None, by: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """See `GroupingWriter`. Raises CannotSum."""
        if not isinstance(self._writer, GroupingWriter):
            raise CannotSum("the target does not group by itself")
        return self._writer.groups(of, by)

    def _summing(self) -> SummingWriter:
        if isinstance(self._writer, SummingWriter):
            return self._writer
        raise CannotSum("it does not sum by itself")

    def steps(self, changes: Sequence[Change]) -> dict[Key, Steps]:
        """What writing them would do, where the target can say it. Changes nothing."""
        return self._writer.steps(changes) if isinstance(self._writer, SteppingWriter) else {}

    def preview(self, changes: Sequence[Change]) -> dict[Key, tuple[str, ...]]:
        """What would follow of writing them, where the target's system can say it. Changes nothing."""
        return self._writer.preview(changes) if isinstance(self._writer, PreviewingWriter) else {}

    def judge(self, numbers: Numbers, keys: tuple[Key, ...] = ()) -> None:
        """Raises HeldBack when a policy holds what has these numbers."""
        for policy in self._policies:
            verdict = policy.judge(numbers, self.guard)
            if not verdict.go:
                raise HeldBack(policy.name, verdict, numbers, keys)

    def admit(self, version: Version) -> None:
        """A batch of this version was judged: it may be written, again and again."""
        self._admitted.append(version)

    def write(self, plan: Plan) -> list[Outcome]:
        """Writes a plan. Raises HeldBack when a policy holds it."""
        if any(change.meta.version not in self._admitted for change in plan.changes):
            self.judge(plan.numbers(self._records))
        return self._writer.write(plan.changes)

    def foreign(self) -> Foreign:
        """What stands there and is not ours, to look at. Raises Declined where it can't be taken over."""
        if self._foreign is None and isinstance(self._writer, AdoptingWriter):
            self._foreign = self._writer.foreign()
        if self._foreign is not None:
            return self._foreign
        raise Declined(
            "an index of this kind cannot be taken over: its fields were fixed when it was made, with no "
            "place for Lockstep's metadata, and it need not hold whole records",
            "Give the target a directory or name of its own: `lockstep run` builds it there from the source. "
            "Then have your program search that one, and remove the other.",
        )

    def leave(self, marker: str) -> Identity:
        """Marks what stands there as ours: a plan without changes. Raises HeldBack."""
        self.judge(Numbers())
        return self.foreign().leave(marker)

    def own(self, plan: Plan) -> list[Outcome]:
        """Adds our metadata to records that are as the plan has them. Raises HeldBack."""
        self.judge(plan.numbers(self._records))
        return self.foreign().own(plan.changes)

    def carry_over(self, note: Callable[[int], None], stopped: Callable[[], bool]) -> bool:
        """See `Copying`; nothing where records are taken over in place."""
        self.judge(Numbers())
        there = self.foreign()
        return not isinstance(there, Copying) or there.carry_over(note, stopped)

    def readers(self) -> str | None:
        """What readers find in place of what is ours; None where they find that."""
        there = self.foreign_if_any()
        return there.readers() if isinstance(there, Copying) else None

    def foreign_if_any(self) -> Foreign | None:
        """What others left there; None where the target cannot be taken over."""
        return self._writer.foreign() if isinstance(self._writer, AdoptingWriter) else None

    def move_readers(self) -> Moving:
        """See `Copying`. Raises Declined where records were taken over in place."""
        there = self.foreign()
        if isinstance(there, Copying):
            return there.move()
        raise Declined(
            "readers of this target have always found what Lockstep took over: there is nothing to move",
            "Nothing is left to do.",
        )

    def pass_over(self, changes: Sequence[Change]) -> None:
        """Notes what differs and is left: nothing of it is written."""
        there = self.foreign()
        if isinstance(there, ByMeaning):
            there.pass_over(changes)

    def close(self) -> None:
        try:
            if isinstance(self._foreign, Copying):
                self._foreign.close()
        finally:
            self._writer.close()
