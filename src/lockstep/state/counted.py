"""What the guard counts: changes in flight and those settled lately, per generation, so that many small
batches and several mappings of one target count together.

Each function takes the connection that the transaction is open on: a batch is counted where its intent is
made, and a repeat of it, whose intent was voided, is free.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from lockstep.database import among
from lockstep.state import schema
from lockstep.state.holds import Hold, standing
from lockstep.values import Key, Version

REMEMBERED = 7 * 1440
"""Minutes for which writes are remembered: what is usual is told from them."""

_DAY = 1440


class Window(NamedTuple):
    """What happened lately and what is in flight.

    `holds`: what is held of this consumer, and what a person has allowed; `allowed`: of that, what is in
    flight, by hold; `usual`: what was most in any window of the last week, None with less than a day of
    history.
    """

    updates: int
    removes: int
    allowed: Mapping[int, int]
    holds: Sequence[Hold]
    usual: Callable[[], Usual | None]


class Usual(NamedTuple):
    """Most updates, and most removals, in any window of the last week."""

    updates: int
    removes: int


class Reserved(NamedTuple):
    """What a batch counts as: changes under the guard's limits; and by hold, those that a person allowed."""

    updates: int = 0
    removes: int = 0
    allowed: Mapping[int, int] = MappingProxyType({})

    def columns(self) -> dict[str, Any]:
        """As an intent keeps it."""
        allowed = msgspec.msgpack.encode(dict(self.allowed)) if self.allowed else None
        return {"updates": self.updates, "removes": self.removes, "allowed": allowed}


FREE = Reserved()
_allowed = msgspec.msgpack.Decoder(dict[int, int]).decode


def window(connection: sa.Connection, generation: int, consumer: int, seconds: float) -> Window:
    """As it is now, within the transaction that is to reserve."""
    writes, intents, consumers = schema.writes, schema.intents, schema.consumers
    minute = int(time.time() // 60)
    since = minute - max(round(seconds / 60), 1)
    done = connection.execute(
        sa.select(sa.func.sum(writes.c.updates), sa.func.sum(writes.c.removes)).where(
            writes.c.generation == generation, writes.c.minute > since
        )
    ).one()
    flying = connection.execute(
        sa.select(sa.func.sum(intents.c.updates), sa.func.sum(intents.c.removes))
        .join(consumers, consumers.c.id == intents.c.consumer)
        .where(consumers.c.generation == generation)
    ).one()
    allowed: Counter[int] = Counter()
    bodies = sa.select(intents.c.allowed).where(
        intents.c.consumer == consumer, intents.c.allowed.is_not(None)
    )
    for body in connection.scalars(bodies):
        allowed.update(_allowed(body))
    updates, removes = (int(a or 0) + int(b or 0) for a, b in zip(done, flying, strict=True))
    holds = standing(connection, consumer)
    return Window(
        updates, removes, allowed, holds, lambda: _usual(connection, generation, minute, minute - since)
    )


def owed(connection: sa.Connection, generation: int) -> int:
    """Records that a target should hold: keys that have one, without those whose record is being removed."""
    consumers, ledger, intents = schema.consumers, schema.ledger, schema.intents
    ours = sa.select(consumers.c.id).where(consumers.c.generation == generation)
    known = sa.select(sa.func.count()).where(ledger.c.consumer.in_(ours), ledger.c.sent.is_not(None))
    going = sa.select(intents.c.removes, intents.c.allowed).where(intents.c.consumer.in_(ours))
    left = connection.scalar(known) or 0
    for removes, allowed in connection.execute(going):
        left -= removes + sum(_allowed(allowed).values() if allowed else ())
    return max(left, 0)


def _usual(connection: sa.Connection, generation: int, minute: int, width: int) -> Usual | None:
    """What was most in any window before this one."""
    writes = schema.writes
    rows = connection.execute(
        sa.select(writes.c.minute, writes.c.updates, writes.c.removes)
        .where(writes.c.generation == generation, writes.c.minute <= minute - width)
        .order_by(writes.c.minute)
    ).all()
    if not rows or minute - rows[0].minute < _DAY:
        return None
    updates = removes = first = 0
    most = Usual(0, 0)
    for row in rows:
        updates, removes = updates + row.updates, removes + row.removes
        while rows[first].minute <= row.minute - width:
            updates, removes = updates - rows[first].updates, removes - rows[first].removes
            first += 1
        most = Usual(max(most.updates, updates), max(most.removes, removes))
    return most


def came_back(connection: sa.Connection, generation: int, consumer: int, keys: Sequence[Key]) -> None:
    """Keys have records again, some of which were removed lately: those removals did not last, and count no
    more. A key that was removed twice is one that came back once."""
    writes, tombstones = schema.writes, schema.tombstones
    lately = (writes.c.generation == generation) & (writes.c.minute > int(time.time() // 60) - _DAY)
    if (
        connection.execute(sa.select(writes.c.minute).where(lately, writes.c.removes > 0).limit(1)).first()
        is None
    ):
        return
    minutes: Counter[int] = Counter()
    for some in among(connection, tombstones.c.key, keys):
        gone = tombstones.delete().where(tombstones.c.consumer == consumer, some)
        minutes.update(int(at // 60) for at in connection.scalars(gone.returning(tombstones.c.at)))
    for minute, back in minutes.items():
        here = (writes.c.generation == generation) & (writes.c.minute == minute)
        left = sa.case((writes.c.removes > back, writes.c.removes - back), else_=0)
        connection.execute(writes.update().where(here).values(removes=left))


def reserved(connection: sa.Connection, generation: int, what: Reserved) -> None:
    """Counts changes that no intent stands for."""
    if what.updates or what.removes:
        _add(connection, generation, what.updates, what.removes)


def settled(connection: sa.Connection, generation: int, consumer: int, version: Version) -> None:
    """Ends the intent of a batch: what it had reserved has happened."""
    intents = schema.intents
    row = connection.execute(
        intents.delete()
        .where(intents.c.consumer == consumer, intents.c.version == version)
        .returning(intents.c.updates, intents.c.removes, intents.c.allowed)
    ).first()
    if row is None:
        return
    if row.updates or row.removes:
        _add(connection, generation, row.updates, row.removes)
    holds = schema.holds
    for hold, changes in _allowed(row.allowed).items() if row.allowed else ():
        connection.execute(holds.update().where(holds.c.id == hold).values(used=holds.c.used + changes))


def _add(connection: sa.Connection, generation: int, updates: int, removes: int) -> None:
    writes = schema.writes
    minute = int(time.time() // 60)
    early = (writes.c.generation == generation) & (writes.c.minute > minute + 1)
    for row in connection.execute(writes.delete().where(early).returning(writes.c.updates, writes.c.removes)):
        updates, removes = updates + row.updates, removes + row.removes  # the clock was set back
    here = (writes.c.generation == generation) & (writes.c.minute == minute)
    found = connection.execute(
        writes.update()
        .where(here)
        .values(updates=writes.c.updates + updates, removes=writes.c.removes + removes)
    )
    if not found.rowcount:
        values = {"generation": generation, "minute": minute, "updates": updates, "removes": removes}
        connection.execute(writes.insert(), values)
        connection.execute(
            writes.delete().where(writes.c.generation == generation, writes.c.minute < minute - REMEMBERED)
        )
