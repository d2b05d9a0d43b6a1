"""What the server has for us to follow it by: the publication and the replication slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from lockstep.systems.postgres import lsn, names
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.following.seen import Noted
from lockstep.values import Table

_PUBLICATION = """
SELECT p.puballtables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot,
       pg_has_role(p.pubowner, 'USAGE'), pg_get_userbyid(p.pubowner)::text,
       obj_description(p.oid, 'pg_publication')
FROM pg_publication p WHERE p.pubname = $1::text"""
# A partition is published with what it is a part of. Row filters and lists of columns are of 15 and later, as
# are publications of whole schemas.
_MEMBERS = """
SELECT n.nspname::text, c.relname::text, m.oid IS NOT NULL OR p.puballtables OR {schemas},
       CASE WHEN m.r ->> 'prqual' IS NOT NULL THEN 'only the rows that a filter lets through'
            WHEN m.r ->> 'prattrs' IS NOT NULL THEN 'only some of its columns' END,
       m.oid::int8, c.oid::int8
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS w(schema, name, place)
JOIN pg_publication p ON p.pubname = $1::text
LEFT JOIN pg_namespace n ON n.nspname = w.schema
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
LEFT JOIN LATERAL (
  SELECT r.oid, r.prrelid, to_jsonb(r) AS r FROM pg_publication_rel r
  WHERE r.prpubid = p.oid
    AND r.prrelid IN (SELECT c.oid UNION ALL SELECT relid FROM pg_partition_ancestors(c.oid))
  ORDER BY r.prrelid = c.oid DESC LIMIT 1) AS m ON true
ORDER BY w.place"""
_OF_SCHEMAS = """EXISTS (
         SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)"""
_SLOT = """
SELECT s.plugin::text, s.database::text, s.slot_type, s.active_pid, s.confirmed_flush_lsn::text,
       s.restart_lsn::text, s.wal_status, to_jsonb(s) ->> 'invalidation_reason',
       (pg_current_wal_lsn() - s.restart_lsn)::int8, a.application_name,
       (pg_current_wal_lsn() - s.confirmed_flush_lsn)::int8, s.safe_wal_size,
       coalesce((to_jsonb(s) ->> 'failover')::bool, false), pg_current_wal_lsn()::text
FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = $1::text"""
_NOTE = "lockstep: "


class Note(Struct, frozen=True):
    """What stands in the publication's comment: see `publishing`."""

    began: dict[str, int] = {}
    seen: dict[str, dict[str, Noted]] = {}


@dataclass(frozen=True)
class Publication:
    """`complete`: it publishes every kind of change. `owned`: we may alter it."""

    name: str
    all_tables: bool
    complete: bool
    via_root: bool
    owned: bool
    owner: str
    comment: str | None

    def note(self) -> Note:
        """Our note in the comment; an empty one where there is none, or where somebody spoilt it."""
        _, found, note = (self.comment or "").rpartition(_NOTE)
        try:
            return msgspec.json.decode(note, type=Note) if found else Note()
        except msgspec.MsgspecError:
            return Note()


def noted(comment: str | None, note: Note) -> str:
    """A publication's comment with our note in it, behind what people wrote there."""
    theirs, found, _ = (comment or "").rpartition(_NOTE)
    if not found:
        theirs = comment + "\n" if comment else ""
    return f"{theirs}{_NOTE}{msgspec.json.encode(note, order='sorted').decode()}"


class Member(NamedTuple):
    """How a publication has a table. `narrowed`: what is left out, in words."""

    schema: str | None
    table: str | None
    published: bool
    narrowed: str | None
    member: int | None
    oid: int | None


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
    failover: bool
    end: str

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
    return None if row is None else Publication(name, *row)


def membership(connection: Connection, name: str, followed: Sequence[Table]) -> tuple[Any, ...]:
    """The publication itself (None: there is none), then how it has each table."""
    given = [names.parse(table.name) for table in followed]
    text = _MEMBERS.format(schemas=_OF_SCHEMAS if connection.info.server_version >= 150_000 else "false")
    rows = connection.execute(
        text.encode(), [name, [schema for schema, _ in given], [table for _, table in given]]
    ).fetchall()
    present = publication(connection, name)
    itself = present and (present.complete, present.via_root, present.owned)
    return (itself, *(Member(*row) for row in rows))


def slot(connection: Connection, name: str) -> Slot | None:
    row = connection.execute(_SLOT.encode(), [name]).fetchone()
    if row is None:
        return None
    plugin, database, kind, pid, confirmed, *rest = row
    return Slot(plugin, database, kind, pid, lsn.number(confirmed) if confirmed else None, *rest)
