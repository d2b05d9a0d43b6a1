"""Makes sure that the changes of some tables come out of the log, and says since when.

The publication is committed before the slot is made: a slot whose log reaches back behind its publication
can never be decoded. When a table joins an existing publication, the position is noted in the publication's
comment in the same transaction: until the journal's mark has come past it, the full-span hint of that table
may not be durable yet, so the table counts as started again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg

from lockstep.errors import Refused, Unreachable
from lockstep.ports import Capture
from lockstep.systems.postgres import logical, lsn, names, tables, visibility
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.logical import Publication, Slot
from lockstep.systems.postgres.names import literal, quoted
from lockstep.systems.postgres.tables import TableInfo
from lockstep.values import FeedMark, Table

SLOT_SECONDS = 60.0
"""How long making a slot may wait for open transactions before it is tried again."""

LOCK_SECONDS = 5
"""How long publishing a table may wait for it: whoever wants the table next would wait behind us."""

_OPTIONS = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"


def prepare(
    connection: Connection,
    slot_name: str,
    publication_name: str,
    followed: Sequence[Table],
    mark: FeedMark | None,
    system: str,
) -> Capture:
    """Installs capture. `system` names the physical server."""
    with mapped("preparing capture"):
        wanted = _wanted(connection, followed)
        made, added = _publish(connection, publication_name, wanted, mark)
        slot, why_new = _slot(connection, slot_name, made)
        (database, end, xid) = connection.execute(_NOW.encode()).fetchone() or (0, "0/0", 0)
    identity = f"{system}/{database}"
    assert slot.confirmed is not None
    hole = _hole(mark, identity, slot, why_new, lsn.number(end), slot_name)
    position = lsn.text(slot.confirmed) if mark is None or hole else mark.position
    all_new = why_new is not None or mark is None
    started = tuple(
        dict.fromkeys(
            table.name for table in followed if all_new or names.written(*names.parse(table.name)) in added
        )
    )
    return Capture(identity, started, visibility.all_before(xid), position, hole)


_NOW = """SELECT (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
       pg_current_wal_insert_lsn()::text, pg_current_xact_id()::text::int8"""


def _wanted(connection: Connection, followed: Sequence[Table]) -> dict[tuple[str, str], str]:
    """The tables as (schema, table), with their names for SQL."""
    infos = tables.load(connection, [table.name for table in followed])
    for table in followed:
        if table.name not in infos:
            raise Refused(f"there is no table {table.name}", "Run `lockstep check`.")
    require_old_values(followed, infos)
    return {(info.schema, info.table): info.sql for info in infos.values()}


def require_old_values(followed: Sequence[Table], infos: Mapping[str, TableInfo]) -> None:
    """Raises Refused where the log does not hold what a row belonged to: its changes would reach the record
    that it belongs to now, and the one that it was taken from would keep it for ever."""
    for table in followed:
        info = infos.get(table.name)
        if info is not None and (lacking := info.unlogged(table)):
            raise Refused(
                f"the log does not hold the old values of {table.name}.{', '.join(lacking)}: what a row "
                "belonged to before it changed or went would not be known",
                info.identity_mend(table),
            )


def _publish(
    connection: Connection, name: str, wanted: dict[tuple[str, str], str], mark: FeedMark | None
) -> tuple[bool, set[str]]:
    """(the publication was made, names of tables whose capture began after the mark)."""
    present = logical.publication(connection, name)
    if present is None:
        listed = f" FOR TABLE {', '.join(wanted.values())}" if wanted else ""
        with _locking_briefly(connection):
            connection.execute(f"CREATE PUBLICATION {quoted(name)}{listed} WITH ({_OPTIONS})".encode())
        return True, set()
    missing = {key: sql for key, sql in wanted.items() if key not in present.tables}
    reached = lsn.number(mark.position) if mark else 0
    began = {table: position for table, position in present.began().items() if position > reached}
    if missing:
        _add(connection, name, present, missing, began)
    return False, set(began) | {names.written(*key) for key in missing}


@contextmanager
def _locking_briefly(connection: Connection) -> Iterator[None]:
    """A transaction that would rather fail, and be tried again, than let others queue behind its locks."""
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
        yield


def _add(
    connection: Connection,
    name: str,
    present: Publication,
    missing: dict[tuple[str, str], str],
    began: dict[str, int],
) -> None:
    with _locking_briefly(connection):
        connection.execute(
            f"ALTER PUBLICATION {quoted(name)} ADD TABLE {', '.join(missing.values())}".encode()
        )
        (here,) = connection.execute(b"SELECT pg_current_wal_insert_lsn()::text").fetchone() or ("0/0",)
        note = {**began, **{names.written(*key): lsn.number(here) for key in missing}}
        comment = literal(logical.noted(present.comment, note))
        connection.execute(f"COMMENT ON PUBLICATION {quoted(name)} IS {comment}".encode())


def _slot(connection: Connection, name: str, publication_made: bool) -> tuple[Slot, str | None]:
    """The slot, and why it is a new one where it is."""
    slot = logical.slot(connection, name)
    why = "is gone" if slot is None else None
    if slot is not None:
        (database,) = connection.execute(b"SELECT current_database()::text").fetchone() or ("",)
        if slot.plugin != "pgoutput" or slot.database != database:
            raise Refused(
                f"the replication slot {name} belongs to somebody else: it is {slot.whose}",
                'Give this pipeline a slot of its own: Postgres(…, slot="another_name").',
            )
        if publication_made:
            why = "could not be decoded, as the publication was gone"
        elif slot.lost:
            why = f"is lost: {slot.lost}"
        elif slot.confirmed is None:
            why = "was never finished"
        if why:
            connection.execute(b"SELECT pg_drop_replication_slot($1::text)", [name])
    if why is None:
        assert slot is not None
        return slot, None
    _make_slot(connection, name)
    made = logical.slot(connection, name)
    assert made is not None
    return made, why


def _make_slot(connection: Connection, name: str) -> None:
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{SLOT_SECONDS * 1000:.0f}ms'".encode())
            connection.execute(b"SELECT pg_create_logical_replication_slot($1::text, 'pgoutput')", [name])
    except psycopg.errors.QueryCanceled as error:
        oldest = visibility.oldest(connection) or "they have just ended"
        raise Unreachable(
            f"making the replication slot {name} waits for all open transactions of the server; {oldest}",
            "End that session if nobody needs it. Lockstep tries again by itself.",
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
