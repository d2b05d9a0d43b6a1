"""What the tables tell of a span of time, read where it lies for the timeline: nothing is kept twice."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.state import schema
from lockstep.state.books import Books
from lockstep.state.counted import REMEMBERED

LONGEST_CHECK = 86_400.0
"""Seconds that a check lasts at most, for it to be found by when it ended."""

_ERRORS = 50


class RunSpan(Struct, frozen=True):
    """A run, from when to when, or another command that followed the sources. `newest`: none began later."""

    id: int
    holder: str
    started_at: float
    seen_at: float
    ended_at: float | None
    outcome: str | None
    command: str | None
    newest: bool


class CheckSpan(Struct, frozen=True):
    """A check, and what it came to: `verdict` is agreement, or what it found, or that it was cancelled."""

    id: int
    mapping: str
    method: str
    verdict: str
    started_at: float
    ended_at: float
    records_compared: int
    accepted: int


class PassSpan(Struct, frozen=True):
    """A pass over all keys of a mapping."""

    mapping: str
    reason: str
    total: int
    done: int
    started_at: float
    finished_at: float | None


class Made(Struct, frozen=True):
    """A build of a target, as it was made."""

    target: str
    number: int
    created_at: float


class Minute(Struct, frozen=True):
    """What was changed and removed in a minute since the epoch, in one build of a target."""

    target: str
    generation: int
    minute: int
    updates: int
    removes: int


class StillStuck(Struct, frozen=True):
    """Keys of a mapping that are stuck to this day, for one reason."""

    mapping: str
    stage: str
    error: str
    keys: int
    first_at: float
    last_at: float


class Accepted(Struct, frozen=True):
    """What a person let be, at one time. `subject`: one of so many divergences."""

    mapping: str
    subject: str
    divergences: int
    at: float
    by: str
    because: str


class Follows(Struct, frozen=True):
    """Which source a mapping reads, or did, and which target it writes."""

    mapping: str
    source: str
    target: str


class _Said(Struct):
    ended_at: float = 0.0
    records_compared: int = 0
    accepted: int = 0


class Recorded:
    """Reads the tables by time. Bounds are seconds since the epoch, both within."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def runs(self, after: float, until: float) -> list[RunSpan]:
        """Runs that began, ended or were last seen then."""
        table = schema.runs
        newest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        statement = sa.select(
            table.c.id,
            table.c.holder,
            table.c.started_at,
            table.c.seen_at,
            table.c.ended_at,
            table.c.outcome,
            table.c.command,
            sa.type_coerce(table.c.id == newest, sa.Boolean).label("newest"),
        ).where(_within(after, until, table.c.started_at, table.c.seen_at, table.c.ended_at))
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(table.c.id))
            return [RunSpan(**row._mapping) for row in rows]

    def checks(self, after: float, until: float) -> list[CheckSpan]:
        """Checks that ended then."""
        table = schema.reports
        statement = (
            sa.select(
                table.c.id,
                table.c.mapping,
                table.c.method,
                table.c.verdict,
                table.c.started_at,
                table.c.body,
            )
            .where(table.c.started_at.between(after - LONGEST_CHECK, until))
            .order_by(table.c.id)
        )
        found = []
        with self._database.reading() as connection:
            for row in connection.execute(statement):
                said = msgspec.json.decode(row.body, type=_Said)
                ended = said.ended_at or row.started_at
                if after <= ended <= until:
                    found.append(
                        CheckSpan(
                            row.id,
                            row.mapping,
                            row.method,
                            row.verdict,
                            row.started_at,
                            ended,
                            said.records_compared,
                            said.accepted,
                        )
                    )
        return found

    def passes(self, after: float, until: float) -> list[PassSpan]:
        """Passes that began or ended then."""
        table, consumers = schema.backfills, schema.consumers
        statement = (
            sa.select(
                consumers.c.mapping,
                table.c.reason,
                table.c.total,
                table.c.done,
                table.c.started_at,
                table.c.finished_at,
            )
            .join(consumers, consumers.c.id == table.c.consumer)
            .where(_within(after, until, table.c.started_at, table.c.finished_at))
            .order_by(table.c.id)
        )
        with self._database.reading() as connection:
            return [PassSpan(**row._mapping) for row in connection.execute(statement)]

    def builds(self, after: float, until: float) -> list[Made]:
        """Builds of targets that were begun then; not those of rehearsals."""
        table = schema.generations
        statement = sa.select(table.c.target, table.c.number, table.c.created_at).where(
            table.c.state != "scratch", table.c.created_at.between(after, until)
        )
        with self._database.reading() as connection:
            return [Made(**row._mapping) for row in connection.execute(statement.order_by(table.c.id))]

    def minutes(self, after: float, until: float) -> list[Minute]:
        """What was written by the minute, in order; also what is kept of the time before."""
        table, builds = schema.writes, schema.generations
        first = int(after // 60) - REMEMBERED
        statement = (
            sa.select(
                builds.c.target,
                table.c.generation,
                table.c.minute,
                table.c.updates,
                table.c.removes,
            )
            .join(builds, builds.c.id == table.c.generation)
            .where(table.c.minute.between(first, int(until // 60)))
            .order_by(table.c.generation, table.c.minute)
        )
        with self._database.reading() as connection:
            return [Minute(**row._mapping) for row in connection.execute(statement)]

    def still_stuck(self, after: float, until: float) -> list[StillStuck]:
        """Keys that became stuck then and still are, by reason: those that most keys have."""
        table, consumers = schema.stuck, schema.consumers
        keys = sa.func.count().label("keys")
        statement = (
            sa.select(
                consumers.c.mapping,
                table.c.stage,
                table.c.error,
                keys,
                sa.func.min(table.c.first_at).label("first_at"),
                sa.func.max(table.c.first_at).label("last_at"),
            )
            .join(consumers, consumers.c.id == table.c.consumer)
            .where(table.c.first_at.between(after, until))
            .group_by(consumers.c.mapping, table.c.stage, table.c.error)
            .order_by(keys.desc())
            .limit(_ERRORS)
        )
        with self._database.reading() as connection:
            return [StillStuck(**row._mapping) for row in connection.execute(statement)]

    def accepted(self, after: float, until: float) -> list[Accepted]:
        """What persons let be then, and has not been found otherwise since."""
        table, consumers = schema.divergences, schema.consumers
        statement = (
            sa.select(
                consumers.c.mapping,
                sa.func.min(table.c.subject).label("subject"),
                sa.func.count().label("divergences"),
                table.c.accepted_at.label("at"),
                table.c.accepted_by.label("by"),
                table.c.because,
            )
            .join(consumers, consumers.c.id == table.c.consumer)
            .where(table.c.accepted_at.between(after, until))
            .group_by(consumers.c.mapping, table.c.accepted_at, table.c.accepted_by, table.c.because)
        )
        with self._database.reading() as connection:
            return [Accepted(**row._mapping) for row in connection.execute(statement)]

    def follows(self) -> list[Follows]:
        """Every mapping that was ever worked, with its source and target."""
        consumers, builds = schema.consumers, schema.generations
        statement = (
            sa.select(consumers.c.mapping, consumers.c.source, builds.c.target)
            .join(builds, builds.c.id == consumers.c.generation)
            .distinct()
        )
        with self._database.reading() as connection:
            return [Follows(**row._mapping) for row in connection.execute(statement)]

    def unfinished(self, after: float, until: float) -> list[tuple[str, str, float]]:
        """Saved states that were begun then and never came to an end: target, name, when."""
        table = schema.snapshots
        statement = sa.select(table.c.target, table.c.name, table.c.begun_at).where(
            table.c.state == "taking", table.c.begun_at.between(after, until)
        )
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(statement.order_by(table.c.id))]

    def drills(self, after: float, until: float) -> list[tuple[str, str, float]]:
        """Rehearsals that began then: target, the saved state, when."""
        table = schema.drills
        statement = sa.select(table.c.target, table.c.snapshot, table.c.begun_at).where(
            table.c.begun_at.between(after, until)
        )
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(statement.order_by(table.c.id))]


def _within(after: float, until: float, *moments: sa.Column[float]) -> sa.ColumnElement[bool]:
    return sa.or_(*(moment.between(after, until) for moment in moments))
