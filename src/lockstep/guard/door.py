"""The one door for writes. Nobody holds a bare Writer, only this.

A plan passes every policy or is held. Who only looks (plan, explain, verify) holds a door that is closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from lockstep.errors import CannotSum, LockstepError, Refused
from lockstep.ports import AdoptingWriter, Foreign, SummingWriter, Writer
from lockstep.values import Change, Contents, Held, Identity, Key, Mark, Outcome, Span, Tally


class Numbers(NamedTuple):
    """What a policy judges a plan by."""

    puts: int
    removes: int
    records: int | None


class Plan(NamedTuple):
    """The writes of one batch of one mapping."""

    mapping: str
    generation: int
    changes: Sequence[Change]

    def numbers(self, records: int | None) -> Numbers:
        removes = sum(change.record is None for change in self.changes)
        return Numbers(len(self.changes) - removes, removes, records)


class Verdict(NamedTuple):
    """Go, or hold, with a reason that a person understands."""

    go: bool
    reason: str = ""


class Policy(Protocol):
    """Judges a plan by its numbers alone: pure, so that it can be tested and explained."""

    name: str

    def judge(self, plan: Plan, numbers: Numbers) -> Verdict: ...


class Go:
    """The policy that lets every plan pass."""

    name = "go"

    def judge(self, plan: Plan, numbers: Numbers) -> Verdict:
        return Verdict(True)


class Closed:
    """The policy of who only looks: nothing passes."""

    name = "closed"

    def judge(self, plan: Plan, numbers: Numbers) -> Verdict:
        return Verdict(False, "this door is for looking")


class HeldBack(LockstepError):
    """A policy holds a plan; nothing of it was written."""

    def __init__(self, policy: str, reason: str) -> None:
        super().__init__(f"held by the policy {policy}: {reason}", "Nothing of it was written.")
        self.policy = policy


class Door:
    """A guarded Writer: reads pass, writes pass when every policy says go."""

    def __init__(self, writer: Writer, policies: Sequence[Policy] = (Go(),)) -> None:
        self._writer = writer
        self._policies = policies
        self.records: int | None = None

    @property
    def parallel(self) -> int:
        """How many writes at once the target takes."""
        return self._writer.features.parallel

    def identity(self) -> Identity | None:
        return self._writer.identity()

    def contents(self) -> Contents:
        found = self._writer.contents()
        self.records = found.records
        return found

    def create(self, marker: str) -> Identity:
        """Builds the target, empty: a plan without changes. Raises HeldBack."""
        self._judge(Plan("", 0, ()))
        return self._writer.create(marker)

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        return self._writer.read(keys)

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        return self._writer.scan(after, limit)

    def sums(self, mapping: str, cuts: Sequence[Key]) -> list[Tally]:
        """See `SummingWriter`; so with the two below. Raises CannotSum."""
        return self._summing().sums(mapping, cuts)

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        return self._summing().marks(mapping, span)

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        return self._summing().strangers(mappings, limit)

    def _summing(self) -> SummingWriter:
        if isinstance(self._writer, SummingWriter):
            return self._writer
        raise CannotSum("it does not sum by itself")

    def write(self, plan: Plan) -> list[Outcome]:
        """Writes a plan. Raises HeldBack when a policy holds it."""
        self._judge(plan)
        return self._writer.write(plan.changes)

    def foreign(self) -> Foreign:
        """What stands there and is not ours, to look at. Raises Refused where it can't be taken over."""
        if isinstance(self._writer, AdoptingWriter):
            return self._writer.foreign()
        raise Refused(
            "a target of this kind cannot be taken over: what it holds has no place for Lockstep's metadata",
            "Name another place for the target; `lockstep run` builds it there from the source.",
        )

    def leave(self, marker: str) -> Identity:
        """Marks what stands there as ours: a plan without changes. Raises HeldBack."""
        self._judge(Plan("", 0, ()))
        return self.foreign().leave(marker)

    def own(self, plan: Plan) -> list[Outcome]:
        """Adds our metadata to records that are as the plan has them. Raises HeldBack."""
        self._judge(plan)
        return self.foreign().own(plan.changes)

    def _judge(self, plan: Plan) -> None:
        numbers = plan.numbers(self.records)
        for policy in self._policies:
            verdict = policy.judge(plan, numbers)
            if not verdict.go:
                raise HeldBack(policy.name, verdict.reason)

    def close(self) -> None:
        self._writer.close()
