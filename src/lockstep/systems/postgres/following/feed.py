"""Follows a database by logical decoding, as hints.

A position is where a transaction's commit record ends. While nothing is pending the server's own reading
position counts too, so that a quiet database beside a busy one lets the log go.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg

from lockstep.errors import LockstepError, Refused, Unreachable
from lockstep.ports import Capture, Caught, FeedLag
from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.client import Address, Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.following import capture, landmark, logical, publishing
from lockstep.systems.postgres.following.changes import Changes
from lockstep.systems.postgres.following.landmark import Landmark
from lockstep.systems.postgres.following.publishing import State
from lockstep.systems.postgres.following.replication import Stream
from lockstep.systems.postgres.following.seen import Like, Owners
from lockstep.systems.postgres.reading import visibility
from lockstep.values import FeedMark, Table

STRETCH = 5_000
"""Most hints that are yielded at once."""
TICK = 0.8
"""Seconds after which something is yielded, if only an empty list."""
IDLE_TICK = 0.1
"""Seconds after which a new position is yielded, if nothing else."""
LEAVING = 2.0
"""Seconds for which a server that shuts down may wait for what it sent to be acknowledged."""
SILENCE = 90.0
"""Seconds after which a server that was asked and says nothing is taken for gone."""
HELD = 64 << 20
"""Bytes of acknowledged log that the server keeps in any case; for more there is somebody to be named."""
WATCH = 5.0
"""Seconds between looks at whether the tables are as they were, and still published."""

T = TypeVar("T")


class PostgresFeed:
    """A logical replication slot. `acknowledge`, `reached` and `lag` may be called from other threads."""

    def __init__(self, address: Address, slot: str, publication: str) -> None:
        self._address = address
        self._slot = slot
        self._publication = publication
        self._tables: tuple[Table, ...] | None = None
        self._state = State({}, ())
        self._remembered: dict[str, Like] = {}
        self._acknowledged = 0
        self._telling = threading.Lock()
        self._asking = threading.Lock()
        self._control: Connection | None = None
        self._waking = threading.Lock()
        self._stream: Stream | None = None
        self._woken = False

    def prepare(self, tables: Sequence[Table], mark: FeedMark | None) -> Capture:
        """Makes publication and slot, or adds to them. Tables that are published but not asked for stay."""
        merged = _merged(tables)
        stream = Stream(self._address)
        try:
            system = stream.identify()
        finally:
            stream.close()
        name = f"{system['systemid']}/{system['timeline']}"
        found, self._state = self._asked(
            lambda control: capture.prepare(
                control, self._slot, self._publication, merged, mark, name, self._remembered
            ),
            "preparing capture",
        )
        if mark is not None and mark.landmark is not None and found.hole is None:
            found = self._known_again(found, landmark.parse(mark.landmark))
        self._tables = merged
        self._acknowledged = 0
        self._remembered = {name: like for name, like in self._state.like.items() if name not in found.held}
        return found

    def _known_again(self, found: Capture, last: Landmark) -> Capture:
        """The capture, with a hole where the log is another one than was read. See `landmark`."""
        slot = self._asked(lambda control: logical.slot(control, self._slot), "asking for the slot")
        if slot is None or slot.confirmed is None or slot.confirmed > last.final:
            return found
        if landmark.stands(self._address, self._slot, self._publication, last):
            return found
        hole = (
            f"the transaction {last.xid} that we read at {lsn.text(last.final)} is not in the server's log "
            "any more: an earlier state of the server was put back, and has gone on since"
        )
        return found._replace(hole=hole, position=lsn.text(slot.confirmed))

    def follow(self, after: str) -> Iterator[Caught]:
        if self._tables is None:
            raise Refused("the feed was not prepared", "Call prepare() first: this is a fault of Lockstep.")
        stream = Stream(self._address)
        try:
            ((xid,),) = stream.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
            owners = Owners(self._tables, self._state.like)
            changes = Changes(self._tables, int(xid or 0), lambda oid: owners.of(oid, self._ask))
            stream.start(self._slot, after, self._publication)
            self._not_overtaken(after)
            with self._waking:
                self._stream, self._woken = stream, False
            yield from self._stretches(stream, changes, lsn.number(after))
        finally:
            with self._waking:
                self._stream = None
            with suppress(LockstepError):
                stream.send_status(self._acknowledged)
            stream.close()

    def acknowledge(self, position: str) -> None:
        """Told to the server by the thread that follows, at once or within a second."""
        with self._telling:
            self._acknowledged = max(self._acknowledged, lsn.number(position))

    def wake(self) -> None:
        with self._waking:
            if self._stream is not None and not self._woken:
                self._woken = True
                self._stream.ring()

    def reached(self) -> str:
        """Writes a mark into the log, durably: what was committed before, lies before it.

        (Its end as the server tells it will not do: commits that do not wait for the disk lie behind what is
        flushed, and the end of what is inserted may lie behind a page's header that no record ends at.)
        """
        ((position,),) = self._asked(
            lambda control: control.execute(
                b"SELECT pg_logical_emit_message(true, 'lockstep', '')::text"
            ).fetchall(),
            "asking for the end of the log",
        )
        return str(position)

    def passed(self, position: str, goal: str) -> bool:
        return lsn.number(position) >= lsn.number(goal)

    def lag(self) -> FeedLag:
        return self._asked(self._lag, "asking for the slot")

    def _lag(self, control: Connection) -> FeedLag:
        slot = logical.slot(control, self._slot)
        if slot is None:
            return FeedLag(None, "bytes", None)
        held = (slot.retained or 0) - (slot.behind or 0) > HELD
        return FeedLag(
            slot.retained,
            "bytes",
            None if slot.confirmed is None else lsn.text(slot.confirmed),
            slot.behind,
            slot.room,
            visibility.oldest(control) if held else None,
            slot.end,
        )

    def close(self) -> None:
        with self._asking:
            if self._control is not None:
                self._control.close()
                self._control = None

    def _stretches(self, stream: Stream, changes: Changes, position: int) -> Iterator[Caught]:
        told = self._acknowledged
        stream.send_status(told, ask=True)
        yielded = replied = time.monotonic()
        watched = yielded
        while True:
            farther = not changes.inside and max(stream.end, changes.end) > position
            due = yielded + (IDLE_TICK if farther or stream.asked else TICK)
            message = stream.receive(0.0 if changes.finished else max(0.0, due - time.monotonic()))
            if message is not None:
                changes.add(message)
            now = time.monotonic()
            if self._woken:
                self._woken, due = False, now
            if stream.unanswered is not None and now - stream.unanswered > SILENCE:
                raise Unreachable(
                    f"{self._address.name} has not answered for {SILENCE:.0f} seconds: the server, or "
                    "something on the way to it, hangs",
                    "Lockstep connects again by itself and goes on where it was.",
                )
            if stream.asked and now - replied >= IDLE_TICK:
                self._reply(stream, now)
                replied = now
            drained = message is None and changes.finished
            if not (now >= due or drained or len(changes) >= STRETCH):
                continue
            if not changes.inside:  # the server has read so far, and there was nothing else for us
                changes.end = max(changes.end, stream.end)
            if changes.altered or now - watched >= WATCH:  # before what it means for the rows is passed on
                self._watch()
                changes.altered, watched = False, now
            if changes.finished or len(changes.open) < STRETCH:
                position = max(position, changes.end)
                last = changes.landmark and str(changes.landmark)
                yield Caught(changes.take_finished(), lsn.text(position), last)
            if len(changes.open) >= STRETCH:
                yield Caught(changes.take_open(), None)
            if now >= due or self._acknowledged > told:
                told = self._acknowledged
                stream.send_status(told, ask=stream.asked_since is None)
            yielded = time.monotonic()

    def _reply(self, stream: Stream, now: float) -> None:
        """Answers the server, which shuts down if it asks on and on: until all is acknowledged, or we go."""
        stream.send_status(self._acknowledged)
        if stream.asked_since is not None and now - stream.asked_since > LEAVING:
            raise Unreachable(
                f"{self._address.name} is shutting down",
                "Lockstep connects again by itself and goes on where it was.",
            )

    def _ask(self, text: str, parameter: object) -> list[tuple[Any, ...]]:
        return self._asked(
            lambda control: control.execute(text.encode(), [parameter]).fetchall(), "asking for a partition"
        )

    def _not_overtaken(self, after: str) -> None:
        """Nobody else can move the slot any more; until now they could, and the server would not say so."""
        slot = self._asked(lambda control: logical.slot(control, self._slot), "asking for the slot")
        if slot is None or slot.confirmed is None or slot.confirmed <= lsn.number(after):
            return
        raise Unreachable(
            f"another client has moved the replication slot {self._slot} to {lsn.text(slot.confirmed)}, past "
            f"{after}, while it was to be followed",
            "Lockstep prepares capture again by itself, and then compares everything.",
        )

    def _watch(self) -> None:
        """What is done to the tables themselves is not in the log: dropped, renamed, altered, attached."""
        followed = self._tables or ()
        now = self._asked(
            lambda control: publishing.state(control, self._publication, followed), "looking at the tables"
        )
        if now == self._state:
            return
        before = self._state.like
        if (
            now.published == self._state.published
            and now.like.keys() == before.keys()
            and all(like.grown_from(before[name]) for name, like in now.like.items())
        ):
            self._state = now
            return
        raise Unreachable(
            "a followed table was altered, renamed, dropped, or taken out of the publication "
            f"{self._publication}",
            "Lockstep prepares capture again by itself.",
        )

    def _asked(self, question: Callable[[Connection], T], doing: str) -> T:
        """The answer of the kept connection, of a new one if that is broken."""
        with self._asking, mapped(doing):
            kept = self._control
            if kept is not None and not kept.closed:
                try:
                    return question(kept)
                except (LockstepError, psycopg.Error):
                    if not kept.closed:
                        raise  # the connection is well: it is the answer
            self._control = self._address.connect(capture.SLOT_SECONDS)
            return question(self._control)


def _merged(tables: Sequence[Table]) -> tuple[Table, ...]:
    """One of each table, with the columns and joins of all that name it."""
    merged: dict[str, Table] = {}
    for table in tables:
        known = merged.get(table.name)
        merged[table.name] = table if known is None else known.together(table)
    return tuple(merged.values())
