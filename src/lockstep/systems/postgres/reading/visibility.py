"""Which transactions a new snapshot sees.

A change can be decoded from the log before it can be read, on the primary too: a commit that waits for a
synchronous standby is in the log and still in progress. So hints carry tokens:

x:N    the change was made by transaction N (64 bits): wait until it is visible
all:N  every transaction below N that was open may still commit unseen: wait until all have ended
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockstep.systems.postgres.client import Connection

_SNAPSHOT = """SELECT pg_snapshot_xmax(s)::text::int8,
       ARRAY(SELECT x::text::int8 FROM pg_snapshot_xip(s) AS x),
       current_database()::text
FROM pg_current_snapshot() AS s"""
_HOLDERS = """SELECT l.transactionid::text::int8, l.pid, coalesce(a.datname, p.database)::text,
       a.usename::text,
       a.application_name, to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS"Z"'), a.state, a.wait_event, p.gid
FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts p ON p.transaction = l.transactionid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted"""


def change(xid: int) -> str:
    """The token of a change."""
    return f"x:{xid}"


def all_before(xid: int) -> str:
    """The token of everything that was open when `xid` was drawn."""
    return f"all:{xid}"


def waited_for(connection: Connection, tokens: Sequence[str]) -> str | None:
    """None when a new snapshot sees all of it; else what it waits for, in words."""
    end, open_, database = connection.execute(_SNAPSHOT.encode()).fetchone() or (0, [], "")
    unseen = set(open_)
    waiting = set()
    below = 0
    for token in set(tokens):
        kind, _, number = token.partition(":")
        xid = int(number)
        if kind == "all":
            below = max(below, xid)
        elif xid >= end or xid in unseen:
            waiting.add(xid)
    older = {xid for xid in unseen if xid < below}
    if not waiting and not older and below <= end:
        return None
    holders = {widened(row[0], end): row for row in connection.execute(_HOLDERS.encode()).fetchall()}
    # Transactions of other databases cannot have changed a table of this one.
    older |= {xid for xid in holders if end <= xid < below}
    older = {xid for xid in older if _database(holders.get(xid)) in (None, database)}
    if not waiting and not older:
        return None if below <= end else f"the server is at transaction {end}, {below} is waited for"
    oldest = min(waiting | older)
    return f"transaction {oldest}: {_words(holders.get(oldest))}"


def oldest(connection: Connection) -> str | None:
    """The transaction, of any database, that has been open longest, in words."""
    (end,) = connection.execute(b"SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8").fetchone() or (
        0,
    )
    holders = {widened(row[0], end): row for row in connection.execute(_HOLDERS.encode()).fetchall()}
    return f"transaction {min(holders)}: {_words(holders[min(holders)])}" if holders else None


def widened(xid: int, near: int) -> int:
    """The 64-bit transaction id whose low half is `xid` that is nearest to another one."""
    wide = near & ~0xFFFFFFFF | xid
    half = 1 << 31
    if wide > near + half and wide >= 1 << 32:
        return wide - (1 << 32)
    return wide + (1 << 32) if wide < near - half else wide


def _database(holder: Sequence[Any] | None) -> str | None:
    return None if holder is None else holder[2]


def _words(holder: Sequence[Any] | None) -> str:
    if holder is None:
        return "it is just ending"
    _, pid, _, user, application, since, state, event, prepared = holder
    if prepared is not None:
        return f"prepared as {prepared!r}: it waits for COMMIT PREPARED or ROLLBACK PREPARED"
    words = f"pid {pid}, application {application or 'without a name'}, user {user}"
    if since is not None:
        words += f", since {since}"
    if event == "SyncRep":
        return f"{words}, waits for a synchronous standby"
    return f"{words}, {state}" if state else words
