"""The transactions in which changes are written.

A batch is one transaction with set-based statements. Only when the database refuses it is it divided, in
savepoints, until each bad row stands alone; and if even the commit is refused (a deferred constraint), each
change has a transaction of its own; so one bad row harms no other and has the database's reason.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import DataError, Unreachable
from lockstep.systems.sql import proof
from lockstep.systems.sql.batch import apply
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.items import Item, item_of
from lockstep.systems.sql.marked import Marked
from lockstep.systems.sql.rows import Rows
from lockstep.values import Change, Key, Outcome, Status

_Placed = list[tuple[int, Outcome]]
_Attempt = Callable[[Sequence[tuple[int, Change]]], _Placed]
_TRIES = 4
_PRUNE_EVERY = 60.0
_PRUNE_AT_ONCE = 10_000


class Transactions:
    """Of one table. `tombstones`: seconds for which a removed key is remembered."""

    def __init__(self, dialect: Dialect, marked: Marked, own: Companion, tombstones: float) -> None:
        self._dialect, self._marked, self._own = dialect, marked, own
        self._tombstones = tombstones
        self._pruned, self._roomy = 0.0, False

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `ports.Writer.write`."""
        outcomes: dict[int, Outcome] = {}
        for run in _runs(changes):
            try:
                outcomes.update(self._write(run))
            except Unreachable as error:
                unknown = Outcome(Status.UNKNOWN, str(error))
                outcomes.update((place, unknown) for place, _ in run)
        return [outcomes[place] for place in range(len(changes))]

    def _write(self, run: Sequence[tuple[int, Change]]) -> _Placed:
        self._marked.assert_there()
        self._make_room()
        for attempt in (self._together, self._apart):
            try:
                return self._undisturbed(attempt, run)
            except DBAPIError as error:
                meant = self._dialect.error(error)
                if not isinstance(meant, DataError):
                    raise meant from error
        return [placed for one in run for placed in self._alone(one)]

    def _make_room(self) -> None:
        if self._roomy:
            return
        try:
            with self._dialect.writing() as connection:
                proof.make_room(connection, self._own)
        except DBAPIError as error:
            raise self._dialect.error(error) from error
        self._roomy = True

    def _undisturbed(self, attempt: _Attempt, run: Sequence[tuple[int, Change]]) -> _Placed:
        """Once more, a few times, when the database undid it for another transaction's sake."""
        for left in reversed(range(_TRIES)):
            try:
                return attempt(run)
            except DBAPIError as error:
                if not left or not self._dialect.again(error):
                    raise
                time.sleep(random.uniform(0.01, 0.1))
        raise AssertionError

    def _together(self, run: Sequence[tuple[int, Change]]) -> _Placed:
        with self._dialect.writing() as connection:
            rows = self._marked.rows(connection)
            items, outcomes = _prepared(rows, run)
            outcomes += apply(connection, self._dialect, rows, self._own, items)
            self._prune(connection)
        return outcomes

    def _apart(self, run: Sequence[tuple[int, Change]]) -> _Placed:
        with self._dialect.writing() as connection:
            rows = self._marked.rows(connection)
            items, outcomes = _prepared(rows, run)
            waiting = [items] if items else []
            while waiting:
                some = waiting.pop()
                try:
                    with connection.begin_nested():
                        outcomes += apply(connection, self._dialect, rows, self._own, some)
                except DBAPIError as error:
                    rejected = self._rejected(error)
                    if len(some) == 1:
                        outcomes.append((some[0].place, rejected))
                    else:
                        waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
        return outcomes

    def _alone(self, one: tuple[int, Change]) -> _Placed:
        try:
            return self._undisturbed(self._together, [one])
        except DBAPIError as error:
            return [(one[0], self._rejected(error))]

    def _rejected(self, error: DBAPIError) -> Outcome:
        if self._dialect.again(error):
            raise error
        meant = self._dialect.error(error)
        if not isinstance(meant, DataError):
            raise meant from error
        return Outcome(Status.REJECTED, str(meant))

    def _prune(self, connection: sa.Connection) -> None:
        """Forgets old tombstones, some at a time: after an hour no write that old is under way."""
        now = time.monotonic()
        if now - self._pruned < _PRUNE_EVERY:
            return
        rows = self._own.rows
        old = sa.select(rows.c.key).where(rows.c.buried < time.time() - self._tombstones)
        gone = connection.execute(rows.delete().where(rows.c.key.in_(old.limit(_PRUNE_AT_ONCE))))
        if gone.rowcount < _PRUNE_AT_ONCE:
            self._pruned = now


def _runs(changes: Sequence[Change]) -> Iterator[list[tuple[int, Change]]]:
    """Changes in stretches that name no key twice; nearly always one."""
    run: list[tuple[int, Change]] = []
    seen: set[Key] = set()
    for place, change in enumerate(changes):
        if change.key in seen:
            yield run
            run, seen = [], set()
        run.append((place, change))
        seen.add(change.key)
    if run:
        yield run


def _prepared(rows: Rows, run: Sequence[tuple[int, Change]]) -> tuple[list[Item], _Placed]:
    """Changes as cells; what has no cells is rejected with the reason."""
    items: list[Item] = []
    rejected: _Placed = []
    for place, change in run:
        try:
            items.append(item_of(rows, place, change))
        except DataError as error:
            rejected.append((place, Outcome(Status.REJECTED, str(error))))
    return items, rejected
