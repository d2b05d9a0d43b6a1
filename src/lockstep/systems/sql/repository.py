"""Saved states of a table: its rows and those of its companion, of one moment.

A restore is one transaction. It makes the user's table hold what was saved and touches no row that does; the
table itself stays. Generation 0 is a scratch table beside, for a rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import DataError, Refused, TargetReplaced
from lockstep.systems.saved.archive import Archive, Filled
from lockstep.systems.saved.durable import measured, sync
from lockstep.systems.saved.manifest import Manifest
from lockstep.systems.saved.progress import Progress
from lockstep.systems.sql import standing
from lockstep.systems.sql.columns import Columns
from lockstep.systems.sql.companion import PROOF, Companion, companion, widen
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.merging import Merge, literally, quoted
from lockstep.systems.sql.proof import make_room
from lockstep.values import Identity, Saved

_ROWS, _OWN = "rows", "companion"


class Build(NamedTuple):
    """One table that is a build: the user's own, or the scratch table. `of` is what it is made like."""

    dialect: Dialect
    table: str
    key: tuple[str, ...]
    declared: Mapping[str, str]
    of: str | None

    @property
    def own(self) -> Companion:
        schema, bare = self.dialect.place(self.table)
        return companion(schema, bare, self.dialect.longest, self.dialect.table_options)


class SQLRepository:
    """The `Repository` of a table. `build` says which table a generation is."""

    def __init__(self, archive: Archive, build: Callable[[int], Build]) -> None:
        self._archive, self._build = archive, build
        self._progress = Progress()

    def save(self, generation: int, name: str) -> Saved:
        with opened(self._build(generation)) as build:
            return self._archive.save(name, generation, lambda to: self._fill(build, to))

    def saved(self) -> list[Saved]:
        return self._archive.saved()

    def damage(self, name: str) -> str | None:
        self._progress.begin(self._archive.size(name))
        return self._archive.damage(name, self._progress.moved)

    def restore(self, name: str, generation: int, marker: str) -> Identity:
        self._progress.begin(2 * (self._archive.size(name) or 0))  # read to be checked, and to be restored
        manifest = self._archive.checked(name, self._progress.moved)
        with opened(self._build(generation)) as build:
            return self._restored(build, manifest, marker)

    def progress(self) -> float | None:
        return self._progress.share()

    def forget(self, name: str) -> None:
        self._archive.forget(name)

    def close(self) -> None:
        """Nothing is open."""

    def _fill(self, build: Build, to: Path) -> Filled:
        dialect, own, copier = build.dialect, build.own, build.dialect.copier()
        if not dialect.there():
            raise _missing(build)
        with copier.saving(to) as connection:
            found = standing.identity(connection, dialect, build.table, own)
            holds = standing.contents(connection, dialect, build.table, build.key, own)
            if found is None or holds is None:
                raise _missing(build)
            self._progress.begin(2 * holds.records)
            place, columns = dialect.place(build.table), dialect.columns(connection, build.table)
            moved = self._progress.moved
            records = copier.put(connection, to, _ROWS, place, build.key, moved)
            copier.put(connection, to, _OWN, (place[0], own.rows.name), ("key",), moved)
            own_columns = dialect.columns(connection, dialect.written(place[0], own.rows.name))
        files = {}
        for file in sorted(to.iterdir()):
            sync(file)
            files[file.name] = measured(file, lambda _: None)
        details = {"columns": _types(columns), "companion": list(own_columns)}
        return Filled(found.marker or "", records, holds.highest, files, details)

    def _restored(self, build: Build, manifest: Manifest, marker: str) -> Identity:
        dialect, own, copier = build.dialect, build.own, build.dialect.copier()
        files = self._archive.path(manifest.name)
        with copier.restoring(files, bool(build.declared)) as connection:
            own.targets.create(connection, checkfirst=True)
            widen(connection, own.targets)
            columns = self._table(build, connection, marker)
            done = _done(connection, build, own, marker, manifest.name)
            if done is not None:
                return done
            _require_same(build.table, columns, manifest)
            own.rows.create(connection, checkfirst=True)
            make_room(connection, own)
            schema, bare = dialect.place(build.table)
            for name, table, key, saved in (
                (_ROWS, bare, build.key, list(columns)),
                (_OWN, own.rows.name, ("key",), manifest.details["companion"]),
            ):
                into = (schema, table)
                staged = copier.stage(connection, files, name, into, saved, self._progress.moved)
                same = [*key, *(name for name in copier.fixed(connection, into) if name not in key)]
                merge = Merge(connection, copier, quoted(*into), staged, same)
                merge.run(saved, copier.referring(connection, into))
            if not set(PROOF) <= set(manifest.details["companion"]):  # saved before there were hashes
                connection.execute(own.rows.update().values(dict.fromkeys(PROOF)))
            _mark(connection, own, bare, marker, manifest)
            made = standing.identity(connection, dialect, build.table, own)
        assert made is not None
        return made

    def _table(self, build: Build, connection: sa.Connection, marker: str) -> Columns:
        """The columns of the table, which is made where that can be known. Refuses one of another marker."""
        dialect, own = build.dialect, build.own
        found = standing.identity(connection, dialect, build.table, own)
        columns = dialect.columns(connection, build.table)
        if build.of is not None and columns and (found is None or found.marker != marker):
            whose = "has no marker of Lockstep's" if found is None else f"has the marker {found.marker}"
            raise Refused(
                f"table {build.table} is there already and {whose}",
                "Another rehearsal goes on, or it is yours: drop it if nobody needs it.",
            )
        if not columns:
            self._make(build, connection)
            columns = dialect.columns(connection, build.table)
        trouble = standing.problem(
            connection, dialect, build.table, build.key, build.declared, columns
        ) or dialect.trouble(connection, build.table)
        if trouble is not None:
            raise Refused(*trouble)
        return columns

    def _make(self, build: Build, connection: sa.Connection) -> None:
        dialect = build.dialect
        if build.of is not None and dialect.columns(connection, build.of):
            dialect.copier().like(connection, dialect.place(build.of), dialect.place(build.table), build.key)
        elif build.declared:
            connection.exec_driver_sql(
                standing.ddl(connection, dialect, build.table, build.key, build.declared)
            )
        else:
            raise Refused(
                f"there is no table {build.of or build.table} in {dialect.system}",
                "Create it as it was, empty: a saved state holds its rows, not what it is made of.",
            )


@contextmanager
def opened(build: Build) -> Iterator[Build]:
    """A build to be worked: the driver's errors come out as Lockstep's."""
    try:
        yield build
    except DBAPIError as error:
        meant = build.dialect.error(error)
        if isinstance(meant, DataError):
            raise Refused(
                f"{build.dialect.system}: {meant}", "Remove what stands against it; nothing was changed."
            ) from error
        raise meant from error
    finally:
        build.dialect.close()


def folder(table: str) -> str:
    """A table's name as that of a directory."""
    return quote(table, safe=" ").replace(".", "%2E", 1) if table.startswith(".") else quote(table, safe=" ")


def remove(build: Build, marker: str) -> None:
    """Drops a scratch table with its companion. Refuses a table of another marker, and the user's own."""
    dialect, own = build.dialect, build.own
    if not dialect.there():
        return
    with dialect.writing() as connection:
        found = standing.identity(connection, dialect, build.table, own)
        if found is None:
            return
        if build.of is None:
            raise Refused(
                f"table {build.table} has one build, which readers see", "Drop the table if nobody needs it."
            )
        if found.marker != marker:
            raise Refused(
                f"table {build.table} has another marker: {found.marker}",
                "Another rehearsal goes on; wait for it.",
            )
        connection.execute(literally(f"DROP TABLE {quoted(*dialect.place(build.table))}"))
        own.rows.drop(connection, checkfirst=True)
        connection.execute(own.targets.delete().where(own.targets.c.name == dialect.place(build.table)[1]))


def _done(connection: sa.Connection, build: Build, own: Companion, marker: str, name: str) -> Identity | None:
    """Which target it is where just this was done before: what was written since is not undone."""
    schema, bare = build.dialect.place(build.table)
    made = standing.identity(connection, build.dialect, build.table, own)
    if made is None or made.marker != marker or not sa.inspect(connection).has_table(own.rows.name, schema):
        return None
    restored = sa.select(own.targets.c.restored).where(own.targets.c.name == bare)
    return made if connection.scalar(restored) == name else None


def _mark(connection: sa.Connection, own: Companion, bare: str, marker: str, manifest: Manifest) -> None:
    """Says which target it is now, and what was restored: another one than before, unless it was begun under
    this marker."""
    targets = own.targets
    mine = targets.c.name == bare
    before = connection.execute(sa.select(targets.c.id, targets.c.marker).where(mine)).one_or_none()
    id_ = before.id if before is not None and before.marker == marker else uuid4().hex
    said = {"name": bare, "id": id_, "marker": marker, "highest": manifest.highest, "restored": manifest.name}
    connection.execute(targets.delete().where(mine))
    connection.execute(targets.insert().values(said))


def _require_same(table: str, columns: Columns, manifest: Manifest) -> None:
    """Refuses where the table has other columns than were saved."""
    now, then = _types(columns), dict(manifest.details["columns"])
    changes = [
        *(f"{name} is gone" for name in then if name not in now),
        *(f"{name} is new" for name in now if name not in then),
        *(
            f"{name} was {then[name]} and is {now[name]}"
            for name in now
            if then.get(name, now[name]) != now[name]
        ),
    ]
    if changes:
        raise Refused(
            f"table {table} has other columns than saved state {manifest.name}: {'; '.join(changes)}",
            "Give it the columns that were saved and restore, then alter it again; or build it anew: "
            "`lockstep backfill MAPPING --rebuild`.",
        )


def _types(columns: Columns) -> dict[str, str]:
    return {name: codec.declared for name, codec in columns.items()}


def _missing(build: Build) -> TargetReplaced:
    return TargetReplaced(
        f"table {build.table} in {build.dialect.system} is missing, or has lost Lockstep's marker",
        "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.",
    )
