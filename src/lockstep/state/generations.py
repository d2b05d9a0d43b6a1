"""Generations of targets, and the consumers that follow them."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import upsert
from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.values import Stream, consumer_stream, source_stream


class Consumer(Struct, frozen=True):
    """A mapping following one generation of its target."""

    id: int
    mapping: str
    source: str
    version: str
    recipe: str
    state: str
    reason: str | None
    generation: int
    number: int
    target: str
    marker: str
    identity: str | None

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """What it reads of the journal."""
        return source_stream(self.source), consumer_stream(self.id)


BESIDE = ("building", "scratch", "kept")
"""States of a generation that is not searched and may be, or is a rehearsal's."""


class Generations:
    """Which mapping follows which physical build of its target. What a run changes names its epoch: one that
    lost its lease must not say of a mapping that it stopped, or is another."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def consumers(self, *states: str) -> list[Consumer]:
        """Every consumer of a live generation; with `states`, those in one of them."""
        live = [schema.generations.c.state == "live"]
        return self._consumers(*live, *([schema.consumers.c.state.in_(states)] if states else []))

    def following(self, generation: int) -> list[Consumer]:
        """Every consumer of one generation, live or not."""
        return self._consumers(schema.generations.c.id == generation)

    def known(self, consumer: int) -> Consumer | None:
        """A consumer by its number, whatever became of its generation."""
        return next(iter(self._consumers(schema.consumers.c.id == consumer)), None)

    def beside(self, source: str | None = None) -> list[Consumer]:
        """Every consumer of a generation that stands beside a live one and may take its place; of one source
        where it is named."""
        beside = [schema.generations.c.state.in_(BESIDE)]
        return self._consumers(*beside, *([schema.consumers.c.source == source] if source else []))

    def _consumers(self, *conditions: sa.ColumnElement[bool]) -> list[Consumer]:
        consumer, generation = schema.consumers, schema.generations
        statement = (
            sa.select(
                consumer.c.id,
                consumer.c.mapping,
                consumer.c.source,
                consumer.c.version,
                consumer.c.recipe,
                consumer.c.state,
                consumer.c.reason,
                consumer.c.generation,
                generation.c.number,
                generation.c.target,
                generation.c.marker,
                generation.c.identity,
            )
            .join(generation, generation.c.id == consumer.c.generation)
            .where(*conditions)
            .order_by(consumer.c.id)
        )
        with self._database.reading() as connection:
            return [Consumer(**row._mapping) for row in connection.execute(statement)]

    def consumer(self, mapping: str, target: str | None = None) -> Consumer | None:
        """The consumer of a mapping's live generation, of this target where one is named.

        A mapping that was declared with another target before has a retired consumer there.
        """
        found = [
            consumer
            for consumer in self.consumers()
            if consumer.mapping == mapping and target in (None, consumer.target)
        ]
        found.sort(key=lambda consumer: consumer.state != "retired")
        return found[-1] if found else None

    def followed_since(self, mapping: str) -> float | None:
        """When the first build of a mapping was begun; None where none ever was."""
        table = schema.consumers
        query = sa.select(sa.func.min(table.c.created_at)).where(table.c.mapping == mapping)
        with self._database.reading() as connection:
            found = connection.scalar(query)
        return None if found is None else float(found)

    def live(self, target: str) -> tuple[int, int, str, str | None] | None:
        """The live generation of a target: (id, number, marker, identity)."""
        table = schema.generations
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(table.c.id, table.c.number, table.c.marker, table.c.identity).where(
                    table.c.target == target, table.c.state == "live"
                )
            ).first()
        return (row.id, row.number, row.marker, row.identity) if row else None

    def replaced(self) -> list[int]:
        """Consumers of generations that another took the place of: they never come back."""
        consumer, generation = schema.consumers, schema.generations
        query = (
            sa.select(consumer.c.id)
            .join(generation, generation.c.id == consumer.c.generation)
            .where(generation.c.state == "retired")
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def all_live(self) -> dict[str, tuple[int, str]]:
        """The number and marker of each target's live generation."""
        table = schema.generations
        query = sa.select(table.c.target, table.c.number, table.c.marker).where(table.c.state == "live")
        with self._database.reading() as connection:
            return {row.target: (row.number, row.marker) for row in connection.execute(query)}

    def begin(self, epoch: int, target: str) -> tuple[int, int, str]:
        """A new live generation of a target, in place of an older one: (id, number, marker)."""
        table = schema.generations
        with self._database.under(epoch) as connection:
            number = _next(connection, target)
            connection.execute(
                table.update()
                .where(table.c.target == target, table.c.state == "live")
                .values(state="retired")
            )
            marker = uuid4().hex
            return _inserted(connection, target, number, marker), number, marker

    def next(self, target: str) -> int:
        """The number of the generation of a target that would be begun now."""
        with self._database.reading() as connection:
            return _next(connection, target)

    def adopt(self, epoch: int, target: str, number: int, marker: str) -> tuple[int, int, str]:
        """A target's live generation that a lost ledger knew. What it holds is still to be found."""
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [{"name": f"found:{target}", "value": "1"}])
            return _inserted(connection, target, number, marker), number, marker

    def adopted(self, consumer: Consumer) -> bool:
        """Whether what a consumer owns has yet to be found by reading the target."""
        done, *asked = f"found:{consumer.id}", f"found:{consumer.target}", f"find:{consumer.generation}"
        query = sa.select(schema.meta.c.name).where(schema.meta.c.name.in_([done, *asked]))
        with self._database.reading() as connection:
            known = set(connection.scalars(query))
        return bool(known) and done not in known

    def find(self, epoch: int, generation: int) -> None:
        """What a generation holds is to be found by reading it: it was restored without its ledger."""
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [{"name": f"find:{generation}", "value": "1"}])

    def note_found(self, epoch: int, consumer: int) -> None:
        """All that a consumer owns in an adopted target has been found."""
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [{"name": f"found:{consumer}", "value": "1"}])

    def know_identity(self, epoch: int, generation: int, identity: str) -> None:
        """Records which physical target a generation is."""
        table = schema.generations
        with self._database.under(epoch) as connection:
            connection.execute(table.update().where(table.c.id == generation).values(identity=identity))

    def begin_consumer(
        self, epoch: int, mapping: str, generation: int, source: str, version: str, recipe: str
    ) -> int:
        """A new consumer; its id. It has no positions yet."""
        with self._database.under(epoch) as connection:
            made = connection.execute(
                schema.consumers.insert(),
                {
                    "mapping": mapping,
                    "generation": generation,
                    "source": source,
                    "version": version,
                    "recipe": recipe,
                    "state": "running",
                    "created_at": time.time(),
                },
            )
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def set_consumer(self, epoch: int, consumer: int, **values: Any) -> None:
        """Changes `state`, `reason`, `version` or `recipe` of a consumer."""
        table = schema.consumers
        with self._database.under(epoch) as connection:
            connection.execute(table.update().where(table.c.id == consumer).values(**values))

    def verified(self, consumer: int) -> tuple[float, str] | None:
        """When a consumer was last verified, and with what verdict."""
        noted = self._database.noted(f"verified:{consumer}")
        if noted is None:
            return None
        at, _, verdict = noted.partition(" ")
        return float(at), verdict

    def note_verified(self, consumer: int, at: float, verdict: str) -> None:
        """Records what a check of a consumer showed."""
        with self._database.unfenced(Unfenced.OWN) as connection:
            upsert(connection, schema.meta, [{"name": f"verified:{consumer}", "value": f"{at!r} {verdict}"}])

    def claims(self, consumer: int) -> bool:
        """Whether everything that a consumer owns is claimed."""
        return self._database.noted(f"claims:{consumer}") == "1"

    def note_claims(self, epoch: int, consumer: int, claims: bool) -> None:
        """Records whether a consumer claims its target keys."""
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [{"name": f"claims:{consumer}", "value": str(int(claims))}])


def _next(connection: sa.Connection, target: str) -> int:
    numbers = schema.generations.c.number
    newest = sa.select(sa.func.max(numbers)).where(schema.generations.c.target == target)
    return (connection.scalar(newest) or 0) + 1


def _inserted(connection: sa.Connection, target: str, number: int, marker: str) -> int:
    made = connection.execute(
        schema.generations.insert(),
        {
            "target": target,
            "number": number,
            "state": "live",
            "marker": marker,
            "created_at": time.time(),
        },
    )
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])
