"""Whatever would go wrong when a `run` starts, found before it does: server, user, slot and publication.

Each finding has the statement that mends it, to be run as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lockstep.errors import LockstepError
from lockstep.systems.postgres import names, tables
from lockstep.systems.postgres.check_tables import check_tables
from lockstep.systems.postgres.client import Address, Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.following import logical
from lockstep.systems.postgres.following.logical import Publication, Slot
from lockstep.systems.postgres.following.publishing import OPTIONS
from lockstep.systems.postgres.following.replication import Stream
from lockstep.systems.postgres.names import literal, quoted
from lockstep.systems.postgres.reading.replica import no_standby, system
from lockstep.systems.postgres.tables import TableInfo
from lockstep.values import Finding, Table

OLDEST = 140_000

_SERVER = """
SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
       current_setting('wal_level'), pg_is_in_recovery(), current_setting('server_encoding'),
       current_setting('max_replication_slots')::int4 - (SELECT count(*) FROM pg_replication_slots),
       current_setting('max_wal_senders')::int4 - (SELECT count(*) FROM pg_stat_get_wal_senders()),
       current_user::text, current_database()::text,
       has_database_privilege(current_database(), 'CREATE'),
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)
         OR coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles
                      WHERE rolname = 'rds_replication'), false)
"""


@dataclass(frozen=True)
class _Server:
    number: int
    version: str
    wal_level: str
    standby: bool
    encoding: str
    free_slots: int
    free_senders: int
    user: str
    database: str
    may_create: bool
    may_replicate: bool


def check(
    address: Address, replica: Address | None, slot: str, publication: str, followed: Sequence[Table]
) -> list[Finding]:
    """Findings about the server, then about its standby, then about each table."""
    try:
        with address.connect() as connection, mapped(f"checking {address.name}"):
            found = [] if replica is None else list(_replica(address, connection, replica))
            return [*found, *_findings(address, connection, slot, publication, followed)]
    except LockstepError as error:
        return [Finding(address.name, str(error), error.remedy)]


def _findings(
    address: Address, connection: Connection, slot: str, publication: str, followed: Sequence[Table]
) -> Iterator[Finding]:
    server = _Server(*(connection.execute(_SERVER.encode()).fetchone() or ()))
    if server.number < OLDEST:
        problem = f"PostgreSQL {server.version} is too old to be followed"
        yield Finding(address.name, problem, "Use PostgreSQL 14 or later.")
        return
    standing = logical.slot(connection, slot)
    published = logical.publication(connection, publication)
    infos = tables.load(connection, [table.name for table in followed])
    wanted = {(info.schema, info.table): info for info in infos.values() if info.kind in "rp"}
    yield from _settings(address, server, standing)
    yield from _replication(address, server)
    yield from _standing(address, server, slot, standing)
    yield from _published(connection, server, publication, published, wanted)
    yield from check_tables(connection, followed, infos)


def _settings(address: Address, server: _Server, standing: Slot | None) -> Iterator[Finding]:
    if server.standby:
        yield Finding(
            address.name,
            "the server is a standby, whose log Lockstep does not follow",
            "Connect to the primary; to read on the standby, give its URL too: ls.Postgres(…, replica=…).",
        )
    if server.wal_level != "logical":
        yield Finding(
            address.name,
            f"wal_level is {server.wal_level}, so the log does not say which rows changed",
            "ALTER SYSTEM SET wal_level = logical;  and restart the server.",
        )
    if standing is None and server.free_slots <= 0:
        yield Finding(
            address.name,
            "all replication slots of the server are taken",
            "Drop one that nobody needs (SELECT * FROM pg_replication_slots;), or raise "
            "max_replication_slots and restart the server.",
        )
    if (standing is None or standing.active_pid is None) and server.free_senders <= 0:
        yield Finding(
            address.name,
            "all WAL senders of the server are taken",
            "ALTER SYSTEM SET max_wal_senders = 20;  and restart the server.",
        )
    if server.encoding == "SQL_ASCII":
        yield Finding(
            address.name,
            "the database does not say in what encoding its texts are (SQL_ASCII): rows with text that is "
            "not UTF-8 cannot be read, and get stuck",
            "Convert the database to UTF8.",
            blocks=False,
        )


def _replica(address: Address, primary: Connection, replica: Address) -> Iterator[Finding]:
    """Whether rows can be read on the standby."""
    try:
        with replica.connect() as connection, mapped(f"checking {replica.name}"):
            (standby,) = connection.execute(b"SELECT pg_is_in_recovery()").fetchone() or (False,)
            if not standby or system(connection) != system(primary):
                raise no_standby(replica, address.name)
    except LockstepError as error:
        yield Finding(replica.name, str(error), error.remedy)


def _replication(address: Address, server: _Server) -> Iterator[Finding]:
    if not server.may_replicate:
        yield Finding(
            address.name,
            f"user {server.user} may not follow the log",
            f"ALTER ROLE {quoted(server.user)} REPLICATION;",
        )
        return
    try:
        Stream(address).close()
    except LockstepError as error:
        yield Finding(
            address.name,
            str(error),
            f"Let user {server.user} connect for replication: pg_hba.conf must allow it for database "
            f"{server.database}, and max_wal_senders must leave one free. {error.remedy}",
        )


def _standing(address: Address, server: _Server, name: str, slot: Slot | None) -> Iterator[Finding]:
    if slot is None:
        return
    subject = f"{address.name} slot {name}"
    if slot.plugin != "pgoutput" or slot.database != server.database:
        yield Finding(
            subject,
            f"the replication slot belongs to somebody else: it is {slot.whose}",
            f'Give this pipeline a slot of its own, as in Postgres(…, slot="{name}_2").',
        )
        return
    if slot.active_pid is not None:
        yield Finding(
            subject,
            f"pid {slot.active_pid} (application {slot.application or 'unknown'}) is following the slot",
            "Nothing is to be done if that is this pipeline. Else stop it, or give this one its own slot.",
            blocks=False,
        )
    if slot.lost:
        yield Finding(
            subject,
            f"the slot is lost: {slot.lost}",
            "`lockstep run` makes a new one and compares everything again. So that it does not happen again: "
            "ALTER SYSTEM SET max_slot_wal_keep_size = -1;  SELECT pg_reload_conf();",
            blocks=False,
        )
    elif slot.active_pid is None and _much(slot):
        limit = "" if slot.room is None else f", and gives it up after {max(slot.room, 0) / 1e6:,.0f} MB more"
        yield Finding(
            subject,
            f"nobody follows the slot, and the server keeps {(slot.retained or 0) / 1e6:,.0f} MB of its log "
            f"for it{limit}",
            "Start `lockstep run` now. If this pipeline is not wanted any more: "
            f"SELECT pg_drop_replication_slot({literal(name)});",
            blocks=False,
        )
    elif slot.wal_status == "unreserved":
        yield Finding(
            subject,
            "the server is about to remove log that was not followed yet",
            "Start `lockstep run` now, or raise max_slot_wal_keep_size.",
            blocks=False,
        )


def _much(slot: Slot) -> bool:
    """Whether the server keeps much of its log for it: a gigabyte, or half of what it will."""
    kept = slot.retained or 0
    return kept >= 1 << 30 or (slot.room is not None and kept >= slot.room)


def _published(
    connection: Connection,
    server: _Server,
    name: str,
    published: Publication | None,
    wanted: dict[tuple[str, str], TableInfo],
) -> Iterator[Finding]:
    subject = f"publication {name}"
    covered = {
        (one.schema, one.table)
        for one in logical.membership(connection, name, [_as_table(info) for info in wanted.values()])[1:]
        if one.published
    }
    missing = {key: info for key, info in wanted.items() if key not in covered}
    listed = ", ".join(info.sql for info in missing.values())
    if published is None:
        statement = f"CREATE PUBLICATION {quoted(name)} FOR TABLE {listed} WITH ({OPTIONS});"
        if not server.may_create:
            yield Finding(
                subject,
                f"it is not there, and user {server.user} may not make it",
                f"GRANT CREATE ON DATABASE {quoted(server.database)} TO {quoted(server.user)};  or, as the "
                f"tables' owner: {statement}",
            )
            return
    else:
        statement = f"ALTER PUBLICATION {quoted(name)} ADD TABLE {listed};"
        if not published.complete:
            yield Finding(
                subject,
                "it does not publish every kind of change",
                f"ALTER PUBLICATION {quoted(name)} SET (publish = 'insert, update, delete, truncate');  "
                "What changed until then, `lockstep verify` finds.",
            )
        if published.via_root and not published.owned and any(info.kind == "p" for info in wanted.values()):
            yield Finding(
                subject,
                "it publishes the changes of partitions as those of their table, and so a TRUNCATE of a "
                "single partition not at all",
                f"As {published.owner}: ALTER PUBLICATION {quoted(name)} "
                "SET (publish_via_partition_root = false);  Until then run `lockstep verify` after each one.",
                blocks=False,
            )
        yield from _cut_down(connection, name, wanted)
        if missing and not published.owned:
            yield Finding(
                subject,
                f"tables are missing in it ({', '.join(info.name for info in missing.values())}), and it "
                f"belongs to {published.owner}",
                f"As {published.owner}: {statement}",
            )
            return
    others = [info for info in missing.values() if not _owned(connection, info)]
    if others:
        yield Finding(
            subject,
            f"only the owner of a table may publish it, and {server.user} does not own "
            f"{', '.join(info.name for info in others)}",
            f"As their owner: {statement}",
        )


def _as_table(info: TableInfo) -> Table:
    return Table(info.name, (), ())


def _owned(connection: Connection, info: TableInfo) -> bool:
    row = connection.execute(
        b"SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = $1::int8::oid", [info.oid]
    ).fetchone()
    return bool(row and row[0])


def _cut_down(
    connection: Connection, name: str, wanted: dict[tuple[str, str], TableInfo]
) -> Iterator[Finding]:
    """Tables that are published with a filter of rows or with some of their columns."""
    rows = connection.execute(
        f"""SELECT schemaname::text, tablename::text, to_jsonb(p) ->> 'rowfilter', to_jsonb(p) -> 'attnames'
        FROM pg_publication_tables p WHERE pubname = {literal(name)}""".encode()
    ).fetchall()
    for schema, table, row_filter, columns in rows:
        info = wanted.get((schema, table))
        if info is None:
            continue
        left_out = [
            column.name
            for column in info.columns.values()
            if columns is not None and column.name not in columns and not column.generated
        ]
        if row_filter or left_out:
            what = f"rows where {row_filter}" if row_filter else f"columns other than {', '.join(left_out)}"
            yield Finding(
                f"publication {name}",
                f"it publishes only {what} of {names.written(schema, table)}",
                f"ALTER PUBLICATION {quoted(name)} DROP TABLE {info.sql};  "
                f"ALTER PUBLICATION {quoted(name)} ADD TABLE {info.sql};",
            )
