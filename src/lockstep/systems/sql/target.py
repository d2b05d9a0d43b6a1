"""A SQL table as a mapping's target, as declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from lockstep.errors import DeclarationError, LockstepError
from lockstep.forms.keys import encode
from lockstep.ports import Loss, Source
from lockstep.systems.saved.archive import Archive
from lockstep.systems.sql import standing
from lockstep.systems.sql.columns import Columns
from lockstep.systems.sql.companion import shortened
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.losses import losses
from lockstep.systems.sql.repository import Build, SQLRepository, folder, opened, remove
from lockstep.systems.sql.writer import SQLWriter
from lockstep.values import Finding, Key, Record, Table

SCRATCH = "__lockstep_drill"
TOMBSTONES = 3600.0
"""Seconds for which a deleted key's version is remembered."""


class SQLTarget:
    """A table. It has one build: every generation is the user's one table, told apart by its marker; but
    generation 0 is a scratch table beside it, for rehearsals. `dialect` is of the table that it is given,
    `snapshots` the directory of saved states."""

    def __init__(
        self,
        dialect: Callable[[str], Dialect],
        table: str,
        key: Sequence[str],
        columns: Mapping[str, str] | None,
        tombstones: float,
        snapshots: Path | None,
    ) -> None:
        self._dialect, self._table, self._key_columns = dialect, table, tuple(key)
        self._declared = dict(columns or {})
        self._tombstones = tombstones
        self._snapshots = snapshots
        closed = dialect(table)
        schema, bare = closed.place(table)
        self._scratch = closed.written(schema, shortened("", bare, SCRATCH, closed.longest))
        self._system, self._place = closed.system, closed.place
        standing.validate(closed, table, self._key_columns, self._declared)
        self._codecs = [closed.codec(self._declared[name]) for name in self._key_columns if self._declared]
        self._own = [codec.own for codec in self._codecs]

    @property
    def name(self) -> str:
        return f"{self._system}/{self._table}"

    def key(self, values: Sequence[Any]) -> Key:
        """With declared columns, as they will hold it: a number in a text column becomes its text."""
        if len(values) != len(self._codecs) or list(map(type, values)) == self._own:
            return encode(values)
        normal = []
        for codec, value in zip(self._codecs, values, strict=True):
            try:
                normal.append(codec.decode(codec.encode(value)))
            except (ValueError, ArithmeticError, LockstepError):
                return encode(values)  # its write will be rejected, with the reason
        return encode(normal)

    def open(self, generation: int) -> SQLWriter:
        build = self._build(generation)
        return SQLWriter(build.dialect, build.table, self._key_columns, self._declared, self._tombstones)

    def repository(self) -> SQLRepository:
        if self._snapshots is None:
            raise DeclarationError(
                f"no place for saved states of {self.name} is declared",
                'Declare a directory for them: the system(…, snapshots="/mnt/backup/lockstep").',
            )
        return SQLRepository(self._archive(self._snapshots), self._build)

    def _archive(self, snapshots: Path) -> Archive:
        return Archive(snapshots / folder(self._table), self.name)

    def remove(self, generation: int, marker: str) -> None:
        """Drops the scratch table. Refuses the user's own."""
        with opened(self._build(generation)) as build:
            remove(build, marker)

    def _build(self, generation: int) -> Build:
        table = self._table if generation else self._scratch
        of = None if generation else self._table
        return Build(self._dialect(table), table, self._key_columns, self._declared, of)

    def losses(self, records: Sequence[Record]) -> list[Loss]:
        dialect = self._dialect(self._table)
        try:
            columns: Columns = {}
            if dialect.there():
                with dialect.reading() as connection:
                    columns = dialect.columns(connection, self._table)
            if not columns:
                columns = {name: dialect.codec(declared) for name, declared in self._declared.items()}
            return losses(dialect, columns, self._key_columns, records)
        except DBAPIError as error:
            raise dialect.error(error) from error
        finally:
            dialect.close()

    def within(self, source: Source) -> bool:
        return source.name == self._system

    def sets(self, table: Table, records: Sequence[Record]) -> set[str]:
        if self._place(table.name) != self._place(self._table):
            return set()
        return {*self._declared, *(name for record in records for name in record)} - {*self._key_columns}

    def check(self) -> list[Finding]:
        dialect = self._dialect(self._table)
        try:
            saving = [] if self._snapshots is None else self._archive(self._snapshots).check(self.name)
            return self._check(dialect) + saving
        except DBAPIError as error:
            found = dialect.error(error)
            return [Finding(self.name, str(found), found.remedy)]
        except LockstepError as found:
            return [Finding(self.name, str(found), found.remedy)]
        finally:
            dialect.close()

    def _check(self, dialect: Dialect) -> list[Finding]:
        if not dialect.there():
            if self._declared:
                return []
            return [Finding(self.name, f"{dialect.system} does not exist", "Correct the path, or create it.")]
        with dialect.reading() as connection:
            columns = dialect.columns(connection, self._table)
            if not columns:
                if self._declared:
                    return []
                mend = "Create it, or declare `columns` so that Lockstep creates it."
                return [Finding(self.name, f"there is no table {self._table}", mend)]
            trouble = standing.problem(
                connection, dialect, self._table, self._key_columns, self._declared, columns
            ) or dialect.trouble(connection, self._table)
        return [] if trouble is None else [Finding(self.name, *trouble)]
