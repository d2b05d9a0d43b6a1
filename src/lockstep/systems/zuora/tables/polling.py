"""The feed of a tenant: what was updated since, asked again and again, with an overlap.

Zuora keeps no log. A record that was updated shows up by its `updatedDate`, a long transaction later than
that says: so each look goes back by `overlap`, and what it has hinted already in that very state it does not
hint again. What is deleted, what a catalogue change does to a charge, and a status that changes by the mere
passing of days leave no updated date: the periodic check finds them.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.ports import Capture, Caught, FeedLag
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.object_query import PAGE, Json, rows
from lockstep.systems.zuora.tables.callouts import Callouts, Listener
from lockstep.systems.zuora.tables.columns import Objects, ObjectTable, asked
from lockstep.values import FeedMark, Hint, Key, Table

_IDLE_SECONDS = 0.5
_LEAST_SECONDS = 0.2
"""Between two looks, however many callouts come."""


class Place(msgspec.Struct, frozen=True):
    """A position. `polled`: when the last look began, by this machine's clock, seconds; `seen`: of each table
    the newest updated date that was read, by Zuora's clock once one was."""

    polled: float
    seen: dict[str, dt.datetime]

    @property
    def text(self) -> str:
        return msgspec.json.encode(self).decode()


def place_of(position: str) -> Place:
    return msgspec.json.decode(position, type=Place)


class ZuoraFeed:
    """See `lockstep.ports.Feed`. `before` of its hints is not known: Zuora does not say what was."""

    def __init__(
        self,
        client: Client,
        objects: Objects,
        *,
        identity: str,
        every: float,
        overlap: dt.timedelta,
        now: Callable[[], dt.datetime],
        callouts: Callouts | None,
    ) -> None:
        self._client = client
        self._objects = objects
        self._identity = identity
        self._every = every
        self._overlap = overlap
        self._now = now
        self._wanted: dict[str, Table] = {}
        self._followed: str | None = None
        self._told: dict[tuple[str, Key], dt.datetime] = {}
        self._closed = threading.Event()
        self._callouts = callouts
        self._called = threading.Event()
        self.listener: Listener | None = None

    def prepare(self, tables: Sequence[Table], mark: FeedMark | None) -> Capture:
        self._wanted = {self._objects.table(table.name).name: table for table in tables}
        self._told.clear()
        hole = None
        if mark is not None and mark.identity != self._identity:
            hole = f"{mark.identity} was followed, and this is {self._identity}"
        known = {} if mark is None or hole else place_of(mark.position).seen
        began = self._now() - self._overlap
        place = Place(0.0, {name: known.get(name, began) for name in self._wanted})
        started = tuple(table.name for name, table in self._wanted.items() if name not in known)
        return Capture(self._identity, started, None, place.text, hole)

    def follow(self, after: str) -> Iterator[Caught]:
        if not self._wanted:
            raise Refused("the feed was not prepared", "Call `prepare` with the tables first.")
        place = place_of(after)
        self._followed = after
        if self._callouts is not None and self.listener is None:
            self.listener = Listener(self._callouts, self._called.set)
        while not self._closed.is_set():
            self._called.clear()  # before the look: what is called about from now on is looked for again
            began = time.time()
            seen = dict(place.seen)
            for name, table in self._wanted.items():
                for hints, newest in self._look(table, place.seen[name] - self._overlap):
                    seen[name] = max(seen[name], newest)
                    yield Caught(hints, place.text)  # a look that is broken off is done again as a whole
            place = Place(began, seen)
            self._forget(seen)
            self._followed = place.text
            yield Caught([], place.text)
            while not self._closed.wait(min(_LEAST_SECONDS, self._every)):
                if self._called.wait(min(_IDLE_SECONDS, self._every)) or time.time() - began >= self._every:
                    break
                yield Caught([], place.text)

    def _look(self, table: Table, since: dt.datetime) -> Iterator[tuple[list[Hint], dt.datetime]]:
        """Hints of what was updated since then and is not hinted yet, in pages, each with its newest date."""
        known = self._objects.table(table.name)
        filters = [("filter[]", one) for one in (*known.only, f"updatedDate.GE:{asked(since)}")]
        hints: list[Hint] = []
        newest = since
        asking = [*filters, ("sort[]", "updatedDate.ASC")]
        for row in rows(self._client, known.name, asking):
            updated = self._objects.value(known, "updatedDate", row)
            newest = max(newest, updated)
            hint = self._hint(table, known, row, updated)
            if hint is not None:
                hints.append(hint)
            if len(hints) >= PAGE:
                yield hints, newest
                hints = []
        yield hints, newest

    def _hint(self, table: Table, known: ObjectTable, row: Json, updated: dt.datetime) -> Hint | None:
        key = keys.encode((str(row[known.key]),))
        # The updated date has a resolution: of two changes within it the second one would look told.
        if self._told.get((table.name, key)) == updated and self._now() - updated > dt.timedelta(seconds=2):
            return None
        self._told[table.name, key] = updated
        joins = {name: keys.encode_one(self._objects.value(known, name, row)) for name in table.joins}
        return Hint(table.name, key, after=joins, at=updated.timestamp())

    def _forget(self, seen: dict[str, dt.datetime]) -> None:
        """What no look will read again."""
        kept = self._told.items()
        self._told = {(name, key): at for (name, key), at in kept if at >= seen[name] - self._overlap}

    def acknowledge(self, position: str) -> None:
        """Zuora keeps nothing for us."""

    def reached(self) -> str:
        return Place(time.time(), {}).text

    def passed(self, position: str, goal: str) -> bool:
        """A look that began after the goal has read all that Zuora showed then."""
        return place_of(position).polled >= place_of(goal).polled

    def lag(self) -> FeedLag:
        return FeedLag(None, "changes", self._followed)

    def close(self) -> None:
        self._closed.set()
        self._called.set()
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        self._client.close()
