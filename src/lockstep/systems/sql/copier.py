"""How one database puts the rows of tables into files, and takes them back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy as sa

from lockstep.systems.saved.durable import Moved

Place = tuple[str | None, str]
"""The schema, where there are some, and the name of a table."""


class Copier(ABC):
    """What a saved state needs to know of a database. Raises SQLAlchemy's `DBAPIError`."""

    overriding = ""
    """What INSERT says so that identity columns take the values that they had."""

    @abstractmethod
    def saving(self, directory: Path) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees one moment, and in which `put` fills files in a directory."""

    @abstractmethod
    def put(
        self,
        connection: sa.Connection,
        directory: Path,
        name: str,
        table: Place,
        key: Sequence[str],
        moved: Moved,
    ) -> int:
        """Copies all rows of a table, with the columns that can be written, as they are stored; how many.
        `name` is what `stage` asks for. `moved` is told of rows."""

    @abstractmethod
    def restoring(self, directory: Path, create: bool = False) -> AbstractContextManager[sa.Connection]:
        """A transaction that nobody writes beside, durable when it ends. With `create`, a database that does
        not exist is created where that is possible."""

    @abstractmethod
    def stage(
        self,
        connection: sa.Connection,
        directory: Path,
        name: str,
        into: Place,
        columns: Sequence[str],
        moved: Moved,
    ) -> str:
        """Makes saved rows a table for this transaction, with the types that the columns have in `into`, and
        keeps others from writing there. The SQL name of that table. `moved` is told of bytes."""

    @abstractmethod
    def differ(self, columns: Sequence[str]) -> str:
        """SQL for whether the row `s` is another one than the row `t`, by what is stored."""

    def fixed(self, connection: sa.Connection, table: Place) -> list[str]:
        """The columns that INSERT can give a value, and UPDATE cannot."""
        return []

    @abstractmethod
    def like(self, connection: sa.Connection, table: Place, scratch: Place, key: Sequence[str]) -> None:
        """Makes an empty table that takes what another one takes, without its triggers and foreign keys."""

    @abstractmethod
    def referring(self, connection: sa.Connection, table: Place) -> list[Reference]:
        """The foreign keys of other tables that refer to a table."""


class Reference:
    """A foreign key. `by` is the SQL name of the table that has it, `columns` its columns beside those they
    refer to, `changes` whether a row that goes takes those along that refer to it, or changes them."""

    def __init__(self, by: str, columns: Sequence[tuple[str, str]], *, changes: bool) -> None:
        self.by, self.columns, self.changes = by, list(columns), changes
