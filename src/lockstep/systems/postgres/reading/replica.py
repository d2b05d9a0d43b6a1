"""Reads on a hot standby what is followed on its primary.

What a token stands for is visible on the standby once it is visible on the primary, and the standby has
replayed the log as far as the primary had written it then. (A standby's own snapshots cannot be asked: they
do not list the transactions that are open.)
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.errors import Refused, Unreachable
from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.client import Address, Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.reading.reader import PostgresReader
from lockstep.systems.postgres.tables import TableInfo

_WRITTEN = """SELECT pg_current_wal_insert_lsn()::text, current_setting('wal_block_size')::int4,
  (SELECT bytes_per_wal_segment FROM pg_control_init())"""
_REPLAYED = """SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn()::text,
  CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END"""
SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"
_ASKED = 100
_HEADER, _LONG_HEADER = 24, 40


class ReplicaReader(PostgresReader):
    """A reader of a standby. Never reads an older state than it once called visible, whoever answers."""

    def __init__(self, primary: Address, replica: Address) -> None:
        super().__init__(replica)
        self._replica = replica
        self._primary = PostgresReader(primary)
        self._primary_name = primary.name
        self._related = False
        self._goals: dict[frozenset[str], int] = {}
        self._floor = 0

    def visible(self, tokens: Sequence[str]) -> str | None:
        if not tokens:
            return None
        self._require_relation()
        asked = frozenset(tokens)
        goal = self._goals.get(asked)
        if goal is None:
            if (waits_for := self._primary.visible(tokens)) is not None:
                return waits_for
            with mapped("asking how far the primary has written its log"):
                goal = self._primary._asked(_written)
            if len(self._goals) >= _ASKED:
                self._goals.clear()
            self._goals[asked] = goal
        with mapped(f"asking how far {self._replica.name} has replayed the log"):
            replayed, paused = self._asked(self._replayed)
        if replayed < goal:
            why = ", and its replay is paused: SELECT pg_wal_replay_resume();" if paused else ""
            return (
                f"the standby {self._replica.name}: it has replayed the log up to {lsn.text(replayed)}, "
                f"{lsn.text(goal)} is waited for{why}"
            )
        self._floor = max(self._floor, goal)
        self._goals.pop(asked, None)
        return None

    def close(self) -> None:
        super().close()
        self._primary.close()

    def _begin(self, connection: Connection) -> tuple[dict[str, TableInfo], set[int]]:
        if self._floor:
            replayed, _ = self._replayed(connection)
            if replayed < self._floor:
                raise Unreachable(
                    f"{self._replica.name} has replayed the log up to {lsn.text(replayed)}, and what was "
                    f"read before is as of {lsn.text(self._floor)}: another standby answers",
                    "Lockstep waits until it has caught up. Give the address of one standby, not of several.",
                )
        return super()._begin(connection)

    def _replayed(self, connection: Connection) -> tuple[int, bool]:
        recovering, position, paused = connection.execute(_REPLAYED.encode()).fetchone() or (False, None, 0)
        if not recovering or position is None:
            raise no_standby(self._replica, self._primary_name)
        return lsn.number(position), bool(paused)

    def _require_relation(self) -> None:
        """Asked once: the two must be of one system."""
        if self._related:
            return
        with mapped("asking whether the standby is one of the primary"):
            one, other = self._primary._asked(system), self._asked(system)
        if one != other:
            raise no_standby(self._replica, self._primary_name)
        self._related = True


def no_standby(replica: Address, primary: str) -> Refused:
    return Refused(
        f"{replica.name} is no standby of {primary}: it is another system, or it was promoted",
        "Correct `replica`, or leave it out to read on the primary.",
    )


def system(connection: Connection) -> str:
    """Which cluster it is; a standby is of its primary's."""
    (found,) = connection.execute(SYSTEM.encode()).fetchone() or ("",)
    return str(found)


def _written(connection: Connection) -> int:
    """Where the last record of the log ends. (The next would begin behind a page's header, which nobody
    replays before that record is there.)"""
    text, page, segment = connection.execute(_WRITTEN.encode()).fetchone() or ("0/0", 1, 1)
    position = lsn.number(text)
    if position % segment == _LONG_HEADER:
        return position - _LONG_HEADER
    return position - _HEADER if position % page == _HEADER else position
