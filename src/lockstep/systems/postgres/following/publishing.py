"""The publication: that it has every followed table, whole, and since when.

Beside the publication, in its comment, stand two notes. `began`: where in the log capture of a table began
that joined later, or was changed in a way that the log does not tell; until the journal's mark has come past
it, the full-span hint of that table may not be durable yet, so it counts as started again after a crash.
`seen`: what the tables were like, by slot, so that what was done to them while nobody followed is noticed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lockstep.errors import Refused
from lockstep.systems.postgres import check_tables, lsn, tables
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.following import logical, seen
from lockstep.systems.postgres.following.logical import Note, Publication
from lockstep.systems.postgres.following.seen import Like
from lockstep.systems.postgres.names import literal, quoted
from lockstep.systems.postgres.tables import TableInfo
from lockstep.values import FeedMark, Table

log = logging.getLogger("lockstep")

# Changes of partitions come as their own: so a TRUNCATE of one is in the log, and the log says what it has of
# each one's old rows. Via the root, both would be lost in silence.
LOCK_SECONDS = 5
"""How long publishing a table may wait for it: whoever wants the table next would wait behind us."""

OPTIONS = "publish = 'insert, update, delete, truncate', publish_via_partition_root = false"


class State(NamedTuple):
    """What is compared every few seconds: the tables, and how the publication has them."""

    like: dict[str, Like]
    published: tuple[object, ...]


class Published(NamedTuple):
    """`started`: tables whose capture began, or began anew, after the mark, and where in the log. `made`: the
    publication is new."""

    made: bool
    started: dict[str, int]
    held: dict[str, Refused]
    state: State


def state(connection: Connection, name: str, followed: Sequence[Table]) -> State:
    """What is there now."""
    return State(seen.look(connection, followed), logical.membership(connection, name, followed))


def publish(
    connection: Connection,
    name: str,
    slot: str,
    followed: Sequence[Table],
    mark: FeedMark | None,
    remembered: Mapping[str, Like],
) -> Published:
    """Makes the publication, or mends it. `remembered`: what the tables were like, as this process knows."""
    before = seen.look(connection, followed)
    infos = tables.load(connection, [table.name for table in followed])
    held = {table.name: why for table in followed if (why := check_tables.held(connection, table, infos))}
    for table in followed:
        looked, now = before.get(table.name), infos.get(table.name)
        if now is not None and (looked is None or looked.oid != now.oid):
            held[table.name] = Refused(f"{table.name} was made anew just now", "Lockstep looks again.")
    good = [table for table in followed if table.name not in held]
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
        connection.execute(b"SELECT pg_advisory_xact_lock(hashtext('lockstep ' || $1::text))", [name])
        present = logical.publication(connection, name)
        if present is None:
            listed = ", ".join(infos[table.name].sql for table in good)
            for_table = f" FOR TABLE {listed}" if good else ""
            connection.execute(f"CREATE PUBLICATION {quoted(name)}{for_table} WITH ({OPTIONS})".encode())
            made = logical.publication(connection, name)
            assert made is not None
            _note(connection, made, Note({}, {slot: _noted(good, before)}))
            started: dict[str, int] = {}
        else:
            started = _mended(connection, present, slot, good, infos, held, mark, before, remembered)
    after = logical.membership(connection, name, followed)
    return Published(present is None, started, held, State(before, after))


def _mended(
    connection: Connection,
    present: Publication,
    slot: str,
    good: list[Table],
    infos: dict[str, TableInfo],
    held: dict[str, Refused],
    mark: FeedMark | None,
    like: dict[str, Like],
    remembered: Mapping[str, Like],
) -> dict[str, int]:
    """Mends a publication that is there; the tables that count as started, and where."""
    note = present.note()
    reached = lsn.number(mark.position) if mark else 0
    began = {name: position for name, position in note.began.items() if position > reached}
    anew: dict[str, str] = {}
    if why := _options(connection, present, any(infos[table.name].kind == "p" for table in good)):
        anew = {table.name: why for table in good}
    anew |= dict.fromkeys(_covered(connection, present, good, infos, held), "capture began")
    known = note.seen.get(slot, {})
    for table in good:
        past = known.get(table.name)
        if past is None and table.name in remembered:
            past = remembered[table.name].noted(table)
        why = "it was not followed" if past is None else past.changed(like[table.name])
        if why and (past is not None or present.owned):
            anew.setdefault(table.name, why)
    (here,) = connection.execute(b"SELECT pg_current_wal_insert_lsn()::text").fetchone() or ("0/0",)
    began |= dict.fromkeys(anew, lsn.number(here))
    if present.owned:
        _note(connection, present, Note(began, {**note.seen, slot: _noted(good, like)}))
    for name, why in anew.items():
        log.info("%s is derived as a whole: %s", name, why)
    return began


def _covered(
    connection: Connection,
    present: Publication,
    good: list[Table],
    infos: dict[str, TableInfo],
    held: dict[str, Refused],
) -> list[str]:
    """Has all of each table published; the names of those that were not. In a publication of others, those of
    which something is left out are held instead, and no longer `good`."""
    covered = {
        table.name: row
        for table, row in zip(good, logical.membership(connection, present.name, good)[1:], strict=True)
    }
    missing = [table for table in good if not covered[table.name].published]
    narrowed = [table for table in good if covered[table.name].narrowed]
    if narrowed and not present.owned:
        for table in narrowed:
            good.remove(table)
            held[table.name] = Refused(
                f"publication {present.name} has {covered[table.name].narrowed} of {table.name}",
                f"As {present.owner}: {_again(present.name, infos[table.name])}",
            )
        narrowed = []
    for table in narrowed:
        connection.execute(_again(present.name, infos[table.name]).encode())
    if missing:
        listed = ", ".join(infos[table.name].sql for table in missing)
        connection.execute(f"ALTER PUBLICATION {quoted(present.name)} ADD TABLE {listed}".encode())
    return [table.name for table in (*missing, *narrowed)]


def _options(connection: Connection, present: Publication, partitioned: bool) -> str | None:
    """Mends what the publication publishes; why changes may be missing, if so."""
    via_root = present.via_root and partitioned
    if present.complete and not (via_root and present.owned):
        return None
    if not present.owned:
        raise Refused(
            f"publication {present.name} does not publish every kind of change",
            f"As {present.owner}: ALTER PUBLICATION {quoted(present.name)} "
            "SET (publish = 'insert, update, delete, truncate');",
        )
    wanted = OPTIONS if via_root else OPTIONS.partition(", publish_via")[0]
    connection.execute(f"ALTER PUBLICATION {quoted(present.name)} SET ({wanted})".encode())
    return None if present.complete else "the publication did not publish every kind of change"


def _again(publication: str, info: TableInfo) -> str:
    return (
        f"ALTER PUBLICATION {quoted(publication)} DROP TABLE {info.sql};  "
        f"ALTER PUBLICATION {quoted(publication)} ADD TABLE {info.sql};"
    )


def _noted(good: Sequence[Table], like: Mapping[str, Like]) -> dict[str, seen.Noted]:
    return {table.name: like[table.name].noted(table) for table in good}


def _note(connection: Connection, present: Publication, note: Note) -> None:
    if note != present.note():
        comment = literal(logical.noted(present.comment, note))
        connection.execute(f"COMMENT ON PUBLICATION {quoted(present.name)} IS {comment}".encode())
