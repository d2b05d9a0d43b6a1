"""Builds of targets beside the live ones: being filled, kept for the way back, or a rehearsal's."""

from __future__ import annotations

import time
from uuid import uuid4

import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import upsert
from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.state.generations import BESIDE
from lockstep.state.settling import Scope


class Build(Struct, frozen=True):
    """One physical build of a target. See `state.schema.generations`."""

    id: int
    target: str
    number: int
    state: str
    marker: str
    identity: str | None
    created_at: float
    worker: str | None


class Builds:
    """The generations of every target, and which of them is live."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def of(self, target: str, *states: str) -> list[Build]:
        """A target's builds in these states, the oldest first."""
        table = schema.generations
        query = sa.select(table).where(table.c.target == target, table.c.state.in_(states))
        with self._database.reading() as connection:
            return [Build(**row._mapping) for row in connection.execute(query.order_by(table.c.id))]

    def one(self, target: str, state: str) -> Build | None:
        """A target's build in a state, the oldest of several."""
        return next(iter(self.of(target, state)), None)

    def beside(self) -> list[Build]:
        """Every build that stands beside a live one."""
        table = schema.generations
        query = sa.select(table).where(table.c.state.in_(BESIDE)).order_by(table.c.id)
        with self._database.reading() as connection:
            return [Build(**row._mapping) for row in connection.execute(query)]

    def begin(self, epoch: int, target: str, *, scratch: bool = False) -> Build:
        """A build of a target beside its live one; a `scratch` build is a rehearsal's, number 0."""
        table = schema.generations
        newest = sa.select(sa.func.max(table.c.number)).where(table.c.target == target)
        with self._database.under(epoch) as connection:
            made = connection.execute(
                table.insert(),
                {
                    "target": target,
                    "number": 0 if scratch else (connection.scalar(newest) or 0) + 1,
                    "state": "scratch" if scratch else "building",
                    "marker": uuid4().hex,
                    "created_at": time.time(),
                    "worker": Scope.BUILD.value,
                },
            )
            assert made.inserted_primary_key is not None
            row = connection.execute(sa.select(table).where(table.c.id == made.inserted_primary_key[0])).one()
        return Build(**row._mapping)

    def make_live(self, epoch: int, build: Build, *, keep: bool) -> None:
        """This one is live from now on, in place of the one before, which is kept (else retired); what was
        kept before is to be removed. Readers are still to be pointed to it: see `pointing`."""
        table = schema.generations
        of = table.update().where(table.c.target == build.target)
        with self._database.under(epoch) as connection:
            connection.execute(
                of.where(table.c.state == "kept", table.c.id != build.id).values(state="dropping")
            )
            connection.execute(of.where(table.c.state == "live").values(state="kept" if keep else "retired"))
            connection.execute(table.update().where(table.c.id == build.id).values(state="live"))
            gone = sa.select(schema.consumers.c.id).where(
                schema.consumers.c.generation.in_(
                    sa.select(table.c.id).where(
                        table.c.target == build.target, table.c.state.in_(["retired", "dropping"])
                    )
                )
            )
            holds = schema.holds
            connection.execute(
                holds.update()
                .where(holds.c.consumer.in_(gone), holds.c.closed_at.is_(None))
                .values(state="closed", closed_at=time.time())
            )
            upsert(
                connection,
                schema.meta,
                [{"name": f"pointing:{build.target}", "value": str(build.number)}],
            )

    def take_back(self, epoch: int, target: str, searched: int | None) -> bool:
        """The live build vanished before readers were pointed to it, and nobody is to do so any more. The
        kept one is live again where it is the generation that they see; whether it is."""
        table = schema.generations
        of = table.update().where(table.c.target == target)
        kept = sa.select(table.c.id).where(
            table.c.target == target, table.c.state == "kept", table.c.number == searched
        )
        with self._database.under(epoch) as connection:
            back = connection.scalar(kept)
            if back is not None:
                connection.execute(of.where(table.c.state == "live").values(state="retired"))
                connection.execute(of.where(table.c.id == back).values(state="live"))
            connection.execute(schema.meta.delete().where(schema.meta.c.name == f"pointing:{target}"))
        return back is not None

    def note_origin(self, epoch: int, build: Build, snapshot: str) -> None:
        """The saved state that a build is restored from."""
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [{"name": f"origin:{build.id}", "value": snapshot}])

    def origin(self, build: Build) -> str | None:
        """The saved state that a build is restored from, None where it is filled from its source."""
        return self._database.noted(f"origin:{build.id}")

    def pointing(self, target: str) -> int | None:
        """The generation that readers are still to be pointed to; None where they are."""
        found = self._database.noted(f"pointing:{target}")
        return None if found is None else int(found)

    def pointed(self, target: str) -> None:
        """Readers see the live generation."""
        with self._database.unfenced(Unfenced.OWN) as connection:
            connection.execute(schema.meta.delete().where(schema.meta.c.name == f"pointing:{target}"))

    def retire(self, epoch: int, build: Build) -> None:
        """It never comes back: what is kept of it is forgotten by and by."""
        table = schema.generations
        with self._database.under(epoch) as connection:
            connection.execute(table.update().where(table.c.id == build.id).values(state="retired"))

    def erase(self, epoch: int, build: Build) -> None:
        """Nothing of a rehearsal's build is shown any more, once its consumers are forgotten."""
        with self._database.under(epoch) as connection:
            mine = sa.select(schema.consumers.c.id).where(schema.consumers.c.generation == build.id)
            for table in (schema.reports, schema.divergences, schema.backfills, schema.holds):
                connection.execute(table.delete().where(table.c.consumer.in_(mine)))
            table = schema.generations
            connection.execute(schema.writes.delete().where(schema.writes.c.generation == build.id))
            # Its row stays, and those of its consumers: their numbers never name another's hints or notes.
            gone = {"state": "retired", "number": -build.id, "worker": None}
            connection.execute(table.update().where(table.c.id == build.id).values(gone))

    def worked_beside(self) -> list[Build]:
        """Live builds that a process beside the run has filled, and may still work."""
        table = schema.generations
        query = sa.select(table).where(table.c.state == "live", table.c.worker.is_not(None))
        with self._database.reading() as connection:
            return [Build(**row._mapping) for row in connection.execute(query)]

    def hand_over(self, epoch: int, build: Build, worker: Scope | None) -> None:
        """Who has filled it works it no more: the run may, where no other `worker` does."""
        table = schema.generations
        with self._database.under(epoch) as connection:
            connection.execute(table.update().where(table.c.id == build.id).values(worker=worker))

    def take_over(self, epoch: int, build: Build) -> None:
        """The run works it from now on. What a process beside it would still write is refused."""
        table = schema.generations
        with self._database.under(epoch) as connection:
            connection.execute(table.update().where(table.c.id == build.id).values(worker=None))
            connection.execute(schema.leases.delete().where(schema.leases.c.scope == build.worker))
