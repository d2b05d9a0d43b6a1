"""What the server has for us to follow it by: the publication and the replication slot."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.client import Connection

_PUBLICATION = """
SELECT p.puballtables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot,
       pg_has_role(p.pubowner, 'USAGE'), pg_get_userbyid(p.pubowner)::text,
       obj_description(p.oid, 'pg_publication'),
       ARRAY(SELECT ARRAY[t.schemaname::text, t.tablename::text]
             FROM pg_publication_tables t WHERE t.pubname = p.pubname)
FROM pg_publication p WHERE p.pubname = $1::text"""
_SLOT = """
SELECT s.plugin::text, s.database::text, s.slot_type, s.active_pid, s.confirmed_flush_lsn::text,
       s.restart_lsn::text, s.wal_status, to_jsonb(s) ->> 'invalidation_reason',
       (pg_current_wal_lsn() - s.restart_lsn)::int8, a.application_name,
       (pg_current_wal_lsn() - s.confirmed_flush_lsn)::int8, s.safe_wal_size
FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = $1::text"""
_NOTE = "lockstep: "


@dataclass(frozen=True)
class Publication:
    """`complete`: it publishes every kind of change. `owned`: we may alter it."""

    all_tables: bool
    complete: bool
    via_root: bool
    owned: bool
    owner: str
    comment: str | None
    tables: frozenset[tuple[str, str]]

    def began(self) -> dict[str, int]:
        """Where in the log each table was added, as our note says: table name to position."""
        _, found, note = (self.comment or "").rpartition(_NOTE)
        try:
            return (
                {name: lsn.number(position) for name, position in json.loads(note).items()} if found else {}
            )
        except (ValueError, AttributeError):
            return {}


def noted(comment: str | None, began: dict[str, int]) -> str:
    """A publication's comment with our note in it, behind what people wrote there."""
    theirs, found, _ = (comment or "").rpartition(_NOTE)
    if not found:
        theirs = comment + "\n" if comment else ""
    note = json.dumps({name: lsn.text(position) for name, position in sorted(began.items())})
    return f"{theirs}{_NOTE}{note}"


@dataclass(frozen=True)
class Slot:
    plugin: str | None
    database: str | None
    kind: str
    active_pid: int | None
    confirmed: int | None
    restart: str | None
    wal_status: str | None
    invalidated: str | None
    retained: int | None
    application: str | None
    behind: int | None
    room: int | None

    @property
    def whose(self) -> str:
        """What it is, for somebody who took it for another."""
        if self.database is None:
            return "a physical slot"
        return f"of database {self.database} and plugin {self.plugin}"

    @property
    def lost(self) -> str | None:
        """Why it can no longer be followed, in words."""
        if self.invalidated or self.wal_status == "lost":
            return f"the server invalidated it ({self.invalidated or 'wal_removed'})"
        return None


def publication(connection: Connection, name: str) -> Publication | None:
    row = connection.execute(_PUBLICATION.encode(), [name]).fetchone()
    if row is None:
        return None
    all_tables, complete, via_root, owned, owner, comment, tables = row
    members = frozenset((schema, table) for schema, table in tables)
    return Publication(all_tables, complete, via_root, owned, owner, comment, members)


def slot(connection: Connection, name: str) -> Slot | None:
    row = connection.execute(_SLOT.encode(), [name]).fetchone()
    if row is None:
        return None
    plugin, database, kind, pid, confirmed, *rest = row
    return Slot(plugin, database, kind, pid, lsn.number(confirmed) if confirmed else None, *rest)
