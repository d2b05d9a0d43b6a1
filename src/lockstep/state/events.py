"""What happened, as the timeline tells it: what no other table says.

Runs, holds, reports, passes over all keys, and how much was written have tables of their own, which the
timeline reads as well: what they tell is not noted here again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from enum import StrEnum
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.errors import LockstepError
from lockstep.state import schema
from lockstep.state.books import Books, Unfenced

log = logging.getLogger("lockstep")

KEPT = 90 * 86_400.0
"""Seconds for which events are kept."""

MOST = 100_000
"""Events that are kept, the newest: a fault that comes and goes all day does not fill a disk."""

WAITING = 1_000
"""Events that wait in memory for a state store that does not answer; later ones are counted."""


LONGEST = 2_000
"""Characters of a text that are kept: a server's answer may be a page."""


class Meaning(StrEnum):
    """Names, each with its `meaning`. They are stable: what `--json` prints has them."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        made = str.__new__(cls, name)
        made._value_, made.meaning = name, meaning
        return made


class Kind(Meaning):
    """Kinds of events."""

    MAPPING_STOPPED = "mapping-stopped", "a mapping cannot go on by itself"
    MAPPING_WAITS = "mapping-waits", "a system, or the state store, does not answer a mapping, or refuses"
    MAPPING_HELD = "mapping-held", "a table that a mapping reads cannot be followed as it is"
    MAPPING_GOES_ON = "mapping-goes-on", "what it waited for, or was held by, is over"
    MAPPING_RETIRED = "mapping-retired", "a mapping is no longer declared"
    STUCK = "stuck", "keys became stuck, or are no longer stuck"
    SOURCE_WAITS = "source-waits", "a source, or the state store, does not answer those who follow it"
    SOURCE_GOES_ON = "source-goes-on", "it is followed again"
    SOURCE_STOPPED = "source-stopped", "a source cannot be followed before a person has mended it"
    SOURCE_HOLE = "source-hole", "the log does not reach back to where it was left: all keys are compared"
    TARGET_GONE = "target-gone", "a target is no longer there"
    TARGET_REPLACED = "target-replaced", "another target stands where it was"
    TARGET_EMPTIED = "target-emptied", "a target holds nothing, or next to nothing, of what it should hold"
    RUN_LOST_LEASE = "run-lost-lease", "another process took over what a run worked"
    CLOCK_JUMPED = "clock-jumped", "the machine's clock was set: times before and after do not add up"
    REPAIR_ASKED = "repair-asked", "somebody asked for a repair of what a check had found"
    REPAIR_GIVEN_UP = "repair-given-up", "something differs again after several repairs, and is left as it is"
    RETRY_ASKED = "retry-asked", "somebody asked to try stuck keys again"
    BACKFILL_ASKED = "backfill-asked", "somebody asked for keys to be derived again"
    REDRIVE_ASKED = "redrive-asked", "somebody asked to hint again what changed since a time"
    ADOPTED = "adopted", "somebody took over a target that others had filled"
    DECIDED = "decided", "a person's decision about a hold, which another has replaced"
    SNAPSHOT_TAKEN = "snapshot-taken", "a saved state of a target is whole"
    SNAPSHOT_FAILED = "snapshot-failed", "a state could not be saved, or turned out to be damaged"
    SNAPSHOT_PRUNED = "snapshot-pruned", "a saved state was removed, because newer ones are enough"
    RESTORE_BEGUN = "restore-begun", "a target is being brought back from a saved state"
    RESTORE_DONE = "restore-done", "it is back, and in agreement"
    RESTORE_FAILED = "restore-failed", "it could not be brought back"
    DEPLOY_BEGUN = "deploy-begun", "the next build of a target is being made beside the live one"
    DEPLOY_SWAPPED = "deploy-swapped", "readers see the next build"
    DEPLOY_FAILED = "deploy-failed", "the next build was not completed; readers see the one before"
    ROLLED_BACK = "rolled-back", "readers see the build before again"
    RETIRED = "retired", "a build was removed: nobody can go back to it"
    DRILL_PASSED = "drill-passed", "a rehearsal brought a target back, in agreement"
    DRILL_FAILED = "drill-failed", "a rehearsal did not"
    NOT_KEPT = "not-kept", "events that could not be written down, because the state store did not answer"


class Event(Struct, frozen=True):
    """Something that happened to `subject`: a mapping, a source or a target. `who`, `why`: of a person."""

    at: float
    kind: str
    subject: str
    text: str
    who: str | None = None
    why: str | None = None
    numbers: dict[str, Any] | None = None


class Events:
    """Append-only; read by time."""

    def __init__(self, database: Books) -> None:
        self._database = database
        self._waiting: deque[Event] = deque()
        self._lost = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def note(
        self,
        kind: Kind,
        subject: str,
        text: str,
        *,
        who: str | None = None,
        why: str | None = None,
        numbers: dict[str, Any] | None = None,
    ) -> None:
        """Records, durably, that this happened now. Never raises: what happened has happened. Where the state
        store does not answer, it waits for the next `flush`."""
        self._keep(Event(time.time(), kind, subject, text, who, why, numbers))
        try:
            self.flush()
        except LockstepError as error:
            log.warning("the timeline lacks for now that %s: %s (%s)", subject, text, error)

    def soon(
        self,
        kind: Kind,
        subject: str,
        text: str,
        *,
        numbers: dict[str, Any] | None = None,
        at: float | None = None,
    ) -> None:
        """Records that this happened, now or at a time before, at the next `flush`: for who must not wait
        for the state store."""
        self._keep(Event(time.time() if at is None else at, kind, subject, text, numbers=numbers))

    def _keep(self, event: Event) -> None:
        with self._lock:
            if len(self._waiting) < WAITING:
                self._waiting.append(event)
            else:
                self._lost += 1

    def flush(self) -> None:
        """Makes durable what `soon` was told of. Raises StateError; then it waits for the next time."""
        if not self._waiting:
            return
        with self._writing:
            with self._lock:  # not while it is written: `soon` waits for nobody
                waiting, lost = list(self._waiting), self._lost
            rows = [as_row(event) for event in waiting]
            if lost:
                text = f"{lost:,} more events, for which there was no room"
                rows.append(as_row(Event(time.time(), Kind.NOT_KEPT, "", text, numbers={"events": lost})))
            if rows:
                with self._database.unfenced(Unfenced.OWN) as connection:
                    connection.execute(schema.events.insert(), rows)
            with self._lock:
                for _ in waiting:
                    self._waiting.popleft()
                self._lost -= lost

    def close(self) -> None:
        """Writes what waits, if the state store answers."""
        with contextlib.suppress(LockstepError):
            self.flush()

    def since(self, after: float, until: float | None = None) -> list[Event]:
        """Events from a time on, in the order in which they were noted."""
        table = schema.events
        query = sa.select(table).where(table.c.at >= after).order_by(table.c.id)
        if until is not None:
            query = query.where(table.c.at < until)
        with self._database.reading() as connection:
            return [
                Event(
                    row.at,
                    row.kind,
                    row.subject,
                    row.text,
                    row.who,
                    row.why,
                    None if row.numbers is None else msgspec.json.decode(row.numbers),
                )
                for row in connection.execute(query)
            ]

    def prune(self) -> None:
        """Forgets what is older than `KEPT`, and all but the newest `MOST`."""
        table = schema.events
        with self._database.reading() as connection:
            newest = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
            old = sa.or_(table.c.at < time.time() - KEPT, table.c.id <= newest - MOST)
            if connection.scalar(sa.select(table.c.id).where(old).limit(1)) is None:
                return
        with self._database.unfenced(Unfenced.OWN) as connection:
            connection.execute(table.delete().where(old))


def as_row(event: Event) -> dict[str, Any]:
    """As the table keeps it."""
    numbers = None if event.numbers is None else msgspec.json.encode(event.numbers).decode()
    return {
        "at": event.at,
        "kind": str(event.kind),
        "subject": event.subject,
        "text": event.text if len(event.text) <= LONGEST else event.text[: LONGEST - 1] + "…",
        "who": event.who,
        "why": event.why,
        "numbers": numbers,
    }
