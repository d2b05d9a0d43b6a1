"""What the guard holds, and what a person said to it.

A hold is of kinds of change of one mapping, or (REFILL) of writing anew what its target has lost, or (no
kind) of all that a mapping does, as most of it fails. While it
is open or rejected, none of them passes, however long ago the others were: else an hour of waiting would let
them through. An approval is an allowance: so many changes of these kinds, until a time; what runs is derived
afresh and must fit it, the rest is held anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.errors import UsageError
from lockstep.limits import REFILL
from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.state.events import Event, Kind, as_row
from lockstep.values import Key

KEYS = 1_000
"""Source keys that a hold names, at most."""

_SHOWN = 100
"""Holds that are told of at once, at most."""

_SET_BACK = 300.0
"""Seconds by which the clocks of who approves and who runs may differ."""

_STANDS = ("open", "rejected", "approved")
_keys = msgspec.msgpack.Decoder(tuple[Key, ...]).decode
_kinds = msgspec.msgpack.Decoder(tuple[str, ...]).decode


class Hold(Struct, frozen=True):
    """A hold. `state`: open, rejected, approved or closed; `expected`: how many changes would follow if it
    were let go, as far as could be counted; `numbers`: what the policy judged by; `preview`: what the target
    said would follow of some of it."""

    id: int
    mapping: str
    policy: str
    reason: str
    kinds: tuple[str, ...]
    keys: tuple[Key, ...]
    expected: int
    numbers: dict[str, Any]
    opened_at: float
    seen_at: float
    state: str
    decided_at: float | None
    decided_by: str | None
    why: str | None
    most: int | None
    until: float | None
    used: int
    closed_at: float | None
    preview: tuple[str, ...] = ()

    def allows(self, changes: int, flying: int, now: float) -> bool:
        """Whether so many changes more fit what a person allowed. `flying`: allowed and not settled yet."""
        if self.state != "approved" or self.most is None or self.until is None or self.decided_at is None:
            return False
        if now < self.decided_at - _SET_BACK:  # the clock was set: nobody knows how long it was to be good
            return False
        return now < self.until and self.used + flying + changes <= self.most


class Holds:
    """The holds of all mappings."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def open(
        self,
        epoch: int,
        consumer: int,
        mapping: str,
        policy: str,
        reason: str,
        kinds: Sequence[str],
        keys: Sequence[Key],
        expected: int,
        numbers: dict[str, Any],
        beyond: Sequence[int] = (),
    ) -> Hold:
        """Holds, or sees again what is held; where a person has approved it meanwhile, that is the answer.
        `beyond`: approvals that it does not fit, which are over."""
        table = schema.holds
        now = time.time()
        said = {
            "policy": policy,
            "reason": reason,
            "kinds": msgspec.msgpack.encode(kinds),
            "keys": msgspec.msgpack.encode(keys[:KEYS]),
            "expected": expected,
            "numbers": msgspec.json.encode(numbers).decode(),
            "seen_at": now,
        }
        with self._database.under(epoch) as connection:
            self._close(connection, table.c.id.in_(beyond), now)
            stands = standing(connection, consumer)
            about = [one for one in stands if _about(one.kinds) == _about(kinds)]
            known = next((one for one in about if one.state != "approved" or one.policy == policy), None)
            if known is None:
                made = {"consumer": consumer, "mapping": mapping, "opened_at": now, "state": "open"}
                added = connection.execute(table.insert(), said | made)
                (number,) = added.inserted_primary_key or (0,)
            elif known.state == "approved":
                return known
            else:
                again = {"seen_at": now} if known.policy == policy or known.state == "rejected" else said
                connection.execute(table.update().where(table.c.id == known.id).values(**again))
                number = known.id
            return next(one for one in standing(connection, consumer) if one.id == number)

    def preview(self, epoch: int, number: int, lines: Sequence[str]) -> None:
        """Adds to a hold what would follow, in words."""
        table = schema.holds
        said = msgspec.json.encode(lines).decode()
        with self._database.under(epoch) as connection:
            connection.execute(table.update().where(table.c.id == number).values(preview=said))

    def close(self, epoch: int, consumer: int, ids: Sequence[int]) -> None:
        """Nothing of what these hold or allow is asked for any more."""
        with self._database.under(epoch) as connection:
            mine = (schema.holds.c.consumer == consumer) & schema.holds.c.id.in_(ids)
            self._close(connection, mine, time.time())

    def _close(self, connection: sa.Connection, which: sa.ColumnElement[bool], now: float) -> None:
        table = schema.holds
        connection.execute(
            table.update().where(which, table.c.state.in_(_STANDS)).values(state="closed", closed_at=now)
        )

    def of(self, consumer: int) -> list[Hold]:
        """What is held of a consumer, and what a person has allowed, the newest first."""
        with self._database.reading() as connection:
            return standing(connection, consumer)

    def all(self, *, closed: bool = False, kept: bool = False) -> list[Hold]:
        """All that stand, the newest first; with `closed` also what was, with `kept` also those of builds
        that another took the place of and that can come back. Nothing stands of one that cannot."""
        table, consumers, generations = schema.holds, schema.consumers, schema.generations
        statement = sa.select(table).order_by(table.c.id.desc()).limit(_SHOWN)
        if not closed:
            replaced = (
                sa.select(consumers.c.id)
                .join(generations, generations.c.id == consumers.c.generation)
                .where(generations.c.state.in_(("retired",) if kept else ("retired", "kept")))
            )
            statement = statement.where(table.c.state.in_(_STANDS), table.c.consumer.not_in(replaced))
        with self._database.reading() as connection:
            return [_hold(row) for row in connection.execute(statement)]

    def beside(self) -> dict[int, tuple[int, str]]:
        """Of holds of other builds than the live one, by their numbers: that build's number and state."""
        holds, consumers, generations = schema.holds, schema.consumers, schema.generations
        statement = (
            sa.select(holds.c.id, generations.c.number, generations.c.state)
            .join(consumers, consumers.c.id == holds.c.consumer)
            .join(generations, generations.c.id == consumers.c.generation)
            .where(generations.c.state != "live")
        )
        with self._database.reading() as connection:
            return {row.id: (row.number, row.state) for row in connection.execute(statement)}

    def between(self, after: float, until: float) -> list[Hold]:
        """All of which anything happened in a span of time, the oldest first."""
        table = schema.holds
        moments = (table.c.opened_at, table.c.decided_at, table.c.closed_at)
        statement = sa.select(table).where(sa.or_(*(moment.between(after, until) for moment in moments)))
        with self._database.reading() as connection:
            return [_hold(row) for row in connection.execute(statement.order_by(table.c.id))]

    def get(self, number: int) -> Hold | None:
        """One hold, whatever became of it."""
        with self._database.reading() as connection:
            return _numbered(connection, number)

    def decide(
        self, number: int, state: str, by: str, why: str, most: int | None = None, until: float | None = None
    ) -> Hold:
        """A person's word: approved, with the allowance, or rejected. The first of two persons who decide at
        once is heard. What is said of a target that was lost is said of all its mappings. Raises UsageError
        when there is no such hold, or it is decided or closed."""
        table = schema.holds
        values = {"state": state, "decided_at": time.time(), "decided_by": by, "why": why}
        allowance = {"most": most, "until": until, "used": 0}
        with self._database.unfenced(Unfenced.PERSON) as connection:
            before = _numbered(connection, number)
            done = connection.execute(
                table.update()
                .where(table.c.id == number, table.c.state.in_(("open", "rejected")))
                .where(table.c.state != state)
                .values(**values, **allowance)
            )
            found = _numbered(connection, number)
            if done.rowcount and before is not None and before.decided_at is not None:
                connection.execute(schema.events.insert(), as_row(_replaced(before, before.decided_at)))
            if found is not None and done.rowcount and REFILL in found.kinds:
                beside = _beside(connection, number, state)
                each = {} if most is None else {"most": table.c.expected}
                connection.execute(
                    table.update().where(table.c.id.in_(beside)).values(**values, **allowance | each)
                )
        if found is None:
            raise UsageError(f"there is no hold {number}", "`lockstep holds` lists them.")
        if not done.rowcount:
            by_whom = f" by {found.decided_by}: {found.why}" if found.decided_by else ""
            raise UsageError(f"hold {number} is {found.state} already{by_whom}", "`lockstep holds` shows it.")
        return found


def _replaced(hold: Hold, at: float) -> Event:
    """A decision that another one replaces: no table tells of it any more."""
    text = f"hold {hold.id} ({hold.policy}) was {hold.state}"
    return Event(at, Kind.DECIDED, hold.mapping, text, hold.decided_by, hold.why, {"hold": hold.id})


def _about(kinds: Sequence[str]) -> str:
    """What a hold is about: changes, what was lost, or (no kind) that keys fail. One of each may stand."""
    return "" if not kinds else REFILL if REFILL in kinds else "changes"


def standing(connection: sa.Connection, consumer: int) -> list[Hold]:
    """What is held of a consumer, and what a person has allowed, within a transaction."""
    table = schema.holds
    rows = connection.execute(
        sa.select(table)
        .where(table.c.consumer == consumer, table.c.state.in_(_STANDS))
        .order_by(table.c.id.desc())
    )
    return [_hold(row) for row in rows]


def _beside(connection: sa.Connection, number: int, state: str) -> list[int]:
    """Holds of other mappings for the same loss of one target, which are not decided so yet."""
    table, mine, other = schema.holds, schema.consumers.alias(), schema.consumers.alias()
    rows = connection.execute(
        sa.select(table.c.id, table.c.kinds)
        .join(other, other.c.id == table.c.consumer)
        .join(mine, mine.c.generation == other.c.generation)
        .join(held := schema.holds.alias(), held.c.consumer == mine.c.id)
        .where(held.c.id == number, table.c.id != number)
        .where(table.c.state.in_(("open", "rejected")), table.c.state != state)
    )
    return [row.id for row in rows if REFILL in _kinds(row.kinds)]


def _numbered(connection: sa.Connection, number: int) -> Hold | None:
    row = connection.execute(sa.select(schema.holds).where(schema.holds.c.id == number)).first()
    return None if row is None else _hold(row)


def _hold(row: Any) -> Hold:
    named = dict(row._mapping)
    del named["consumer"]
    named["kinds"], named["keys"] = _kinds(named["kinds"]), _keys(named["keys"])
    named["numbers"] = msgspec.json.decode(named["numbers"])
    named["preview"] = tuple(msgspec.json.decode(named["preview"] or "[]"))
    return Hold(**named)
