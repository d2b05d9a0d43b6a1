"""The one `run` of a state store in PostgreSQL: an advisory lock of a session, which the server gives back
when the session ends, however it ends.

A session may end while its run lives on: when the connection is cut, or the server restarts. Then another run
may begin, which draws a newer epoch first; so the old one cannot write any more, and `confirm` tells it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any
from uuid import uuid4

import psycopg

from lockstep.database.postgres import connect, lock_number, state_error
from lockstep.errors import StateInUse, StateUnreachable
from lockstep.place import StateUrl
from lockstep.state.lock import TRIES, WAIT, in_use, whoami

_HOLDER = """
SELECT coalesce(nullif(a.application_name, ''), 'another process') || coalesce(' at ' || a.client_addr, '')
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::int8 << 32 | l.objid::int8) = %s::int8"""

# The server notices within half a minute that a session's other end is gone; else it would keep the lock.
_NOTICED = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


class SessionLock:
    """A session of its own, whose name says who holds it."""

    def __init__(self, place: StateUrl, name: str) -> None:
        self._place = place
        self._name = name
        self._shown = _shown()
        self._number = lock_number(f"lockstep {name} {place.schema}")
        self._session: psycopg.Connection[Any] | None = None
        self._mine = threading.Lock()

    def take(self) -> None:
        """Takes the right to run. Raises StateInUse that says who holds it."""
        with self._mine:
            session = connect(self._place, f"{self._place.schema}_ledger", application_name=self._shown)
            try:
                session.execute(_NOTICED)
                if not self._locked(session):
                    raise in_use(self._place, self._name, self._asked(session) or "another process")
            except psycopg.Error as error:
                session.close()
                raise state_error(error, self._place.name) from error
            except BaseException:
                session.close()
                raise
            self._session = session

    def confirm(self) -> None:
        """Makes sure that the lock is still ours; takes it again where the session was lost meanwhile.

        Raises StateInUse when another run has it by now, StateUnreachable when the server does not answer.
        """
        with self._mine:
            if self._session is None:
                return
            try:
                self._session.execute("SELECT 1")
                self._session.commit()
                return
            except psycopg.Error:
                self._session.close()
        try:
            self.take()
        except StateInUse as error:
            if self._shown not in str(error):
                raise
            raise StateUnreachable(
                f"{self._place}: the server still holds the lock for the session that we lost",
                "It notices within half a minute, and Lockstep takes it again.",
            ) from error

    def holder(self) -> str | None:
        """Who runs now, None when nobody does, or we do."""
        if self._session is not None:
            return None
        session = connect(self._place, f"{self._place.schema}_ledger")
        try:
            return self._asked(session)
        except psycopg.Error as error:
            raise state_error(error, self._place.name) from error
        finally:
            session.close()

    def close(self) -> None:
        """Gives the right back, where it was taken."""
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
            self._session = None

    def _locked(self, session: psycopg.Connection[Any]) -> bool:
        for left in reversed(range(TRIES)):  # a session that just ended may be a moment in ending
            row = session.execute("SELECT pg_try_advisory_lock(%s)", [self._number]).fetchone()
            session.commit()
            if row and row[0]:
                return True
            if left:
                time.sleep(WAIT)
        return False

    def _asked(self, session: psycopg.Connection[Any]) -> str | None:
        row = session.execute(_HOLDER, [self._number]).fetchone()
        session.commit()
        return None if row is None else str(row[0])


def _shown() -> str:
    """Who we are, within the 63 bytes that a session's name has; and which of our locks, so that one knows
    itself again."""
    who, _, process = whoami().rpartition(", ")
    mark = f"{process} #{uuid4().hex[:4]}"
    return f"{who.encode()[: 60 - len(mark)].decode(errors='ignore')}, {mark}"
