"""Positions in the log: the number of a change and its random token, `1042-9f3c…`."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lockstep.systems.sqlite.triggers import LOG
from lockstep.values import FeedMark


class Place(NamedTuple):
    n: int
    token: int

    @property
    def text(self) -> str:
        return f"{self.n}-{self.token & 0xFFFFFFFFFFFFFFFF:016x}"


def place_of(position: str) -> Place:
    n, _, token = position.partition("-")
    number = int(token, 16)
    return Place(int(n), number - (1 << 64) if number >= 1 << 63 else number)


BEGINNING = Place(0, 0)
"""Before every change of a log: where one ends that was not made yet, or was taken out."""


def made(connection: sqlite3.Connection) -> bool:
    """Whether the database has a log."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (LOG,)).fetchone())


def end(connection: sqlite3.Connection) -> Place:
    """The last change of the log, which always has one."""
    return Place(*connection.execute(f"SELECT n, token FROM {LOG} ORDER BY n DESC LIMIT 1").fetchone())


def hole(connection: sqlite3.Connection, identity: str, mark: FeedMark) -> str | None:
    """Why the log since a mark is not whole, None where it is.

    The change at the mark is kept in the log until a later one is acknowledged, so it must be there, and
    be the same one.
    """
    if mark.identity != identity:
        return "the database is not the one that was followed: its capture log has another identity"
    place = place_of(mark.position)
    last = end(connection)
    if place.n > last.n:
        return (
            f"the log ends at change {last.n}, before change {place.n}, which was followed: it was restored"
        )
    found = connection.execute(f"SELECT token FROM {LOG} WHERE n = ?", (place.n,)).fetchone()
    if found is None:
        return f"the log begins after change {place.n}: changes since then were acknowledged by somebody else"
    if found[0] != place.token:
        return f"change {place.n} of the log is not the one that was followed: the database was restored"
    return None
