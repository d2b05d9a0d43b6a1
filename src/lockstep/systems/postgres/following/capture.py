"""Makes sure that the changes of some tables come out of the log, and says since when.

The publication (see `publishing`) is committed before the slot is made: a slot whose log reaches back behind
its publication can never be decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import psycopg

from lockstep.errors import Refused, Unreachable
from lockstep.ports import Capture
from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.following import logical
from lockstep.systems.postgres.following.logical import Slot
from lockstep.systems.postgres.following.publishing import State, publish
from lockstep.systems.postgres.following.seen import Like
from lockstep.systems.postgres.reading import visibility
from lockstep.values import FeedMark, Table

SLOT_SECONDS = 60.0
"""How long making a slot may wait for open transactions before it is tried again."""


class Prepared(NamedTuple):
    """What `prepare` found, and what was there when it looked."""

    capture: Capture
    state: State


def prepare(
    connection: Connection,
    slot_name: str,
    publication_name: str,
    followed: Sequence[Table],
    mark: FeedMark | None,
    system: str,
    remembered: Mapping[str, Like] = MappingProxyType({}),
) -> Prepared:
    """Installs capture. `system` names the physical server; `remembered`: see `publishing`."""
    with mapped("preparing capture"):
        if connection.execute(b"SELECT pg_is_in_recovery()").fetchone() == (True,):
            raise Refused(
                "the server is a standby, whose log Lockstep does not follow",
                "Connect to the primary, or promote this one: Lockstep then goes on by itself.",
            )
        standing, why_new = _fit(connection, slot_name, publication_name)
        found = publish(connection, publication_name, slot_name, followed, mark, remembered)
        if why_new is not None:
            _make_slot(connection, slot_name, failover=standing is not None and standing.failover)
        slot = logical.slot(connection, slot_name)
        (database, end, xid) = connection.execute(_NOW.encode()).fetchone() or (0, "0/0", 0)
    identity = f"{system}/{database}"
    if slot is None or slot.confirmed is None:
        raise Unreachable(
            f"the replication slot {slot_name} went away just now", "Lockstep makes it again by itself."
        )
    hole = _hole(mark, identity, slot, why_new, lsn.number(end), slot_name)
    position = lsn.text(slot.confirmed) if mark is None or hole else mark.position
    all_new = why_new is not None or mark is None
    started = tuple(dict.fromkeys(table.name for table in followed if all_new or table.name in found.started))
    token = visibility.all_before(xid)
    moment = repr(sorted(found.started.items()))
    return Prepared(Capture(identity, started, token, position, hole, found.held, moment), found.state)


_NOW = """SELECT (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
       pg_current_wal_insert_lsn()::text, pg_current_xact_id()::text::int8"""


def _fit(connection: Connection, name: str, publication_name: str) -> tuple[Slot | None, str | None]:
    """The slot as far as it can be followed, and why it cannot be. One that cannot is dropped here, before
    anything is mended: whoever comes after a crash must find that it is gone."""
    slot = logical.slot(connection, name)
    if slot is None:
        return None, "is gone"
    (database,) = connection.execute(b"SELECT current_database()::text").fetchone() or ("",)
    if slot.plugin != "pgoutput" or slot.database != database:
        raise Refused(
            f"the replication slot {name} belongs to somebody else: it is {slot.whose}",
            'Give this pipeline a slot of its own: Postgres(…, slot="another_name").',
        )
    why = None
    if logical.publication(connection, publication_name) is None:
        why = "could not be decoded, as the publication was gone"
    elif slot.lost:
        why = f"is lost: {slot.lost}"
    elif slot.confirmed is None:
        why = "was never finished"
    if why:
        connection.execute(b"SELECT pg_drop_replication_slot($1::text)", [name])
    return slot, why


def _make_slot(connection: Connection, name: str, *, failover: bool) -> None:
    """`failover`: as the one before, which standbys copy."""
    options = "false, false, true" if failover else "false"
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{SLOT_SECONDS * 1000:.0f}ms'".encode())
            make = f"SELECT pg_create_logical_replication_slot($1::text, 'pgoutput', {options})"
            connection.execute(make.encode(), [name])
    except psycopg.errors.QueryCanceled as error:
        oldest = visibility.oldest(connection) or "they have just ended"
        raise Unreachable(
            f"making the replication slot {name} waits for all open transactions of the server; {oldest}",
            "End that session if nobody needs it. A run tries again by itself.",
        ) from error


def _hole(
    mark: FeedMark | None, identity: str, slot: Slot, why_new: str | None, end: int, name: str
) -> str | None:
    """Why the log since the mark is not whole, in words."""
    if mark is None:
        return None
    if mark.identity != identity:
        return (
            f"the journal followed another server or database ({mark.identity}) than this one ({identity}): "
            "it was restored, promoted or exchanged"
        )
    if why_new:
        return f"the replication slot {name} {why_new}, so changes since {mark.position} are not known"
    reached = lsn.number(mark.position)
    assert slot.confirmed is not None
    if slot.confirmed > reached:
        return (
            f"the replication slot {name} stands at {lsn.text(slot.confirmed)}, but the journal holds "
            f"the log only up to {mark.position}: another client moved the slot, or the journal was restored"
        )
    if reached > end:
        return (
            f"the server's log ends at {lsn.text(end)}, before {mark.position} that the journal holds: "
            "the server was restored"
        )
    return None
