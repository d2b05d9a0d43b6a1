"""What a database must say of itself for the SQL writer to work on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import CannotSum, LockstepError
from lockstep.systems.sql.columns import Codec, Columns

if TYPE_CHECKING:
    from lockstep.systems.sql.copier import Copier
    from lockstep.systems.sql.proof import Hash
    from lockstep.systems.sql.rows import Rows


class Dialect(ABC):
    """One database, as a target. The writer knows SQL and nothing of whose SQL it is.

    Transactions let the driver's errors out as SQLAlchemy's; `error` says what they mean.
    """

    system: str
    """Which database, without secrets: `sqlite:app.db`."""

    collation: str
    """The collation that orders text by its bytes."""

    table_options: dict[str, Any]
    """Keyword arguments of Lockstep's own tables (`sqlite_with_rowid=False`)."""

    longest: int | None = None
    """The longest name of a table, in bytes."""

    def place(self, table: str) -> tuple[str | None, str]:
        """The schema, where there are some, and the name of a table as it was declared."""
        return None, table

    def written(self, schema: str | None, table: str) -> str:
        """The reverse of `place`."""
        return table

    @abstractmethod
    def copier(self) -> Copier:
        """How rows are put into files, and taken back."""

    @abstractmethod
    def there(self) -> bool:
        """Whether the database exists at all. Never creates it."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees one moment."""

    @abstractmethod
    def writing(self, create: bool = False) -> AbstractContextManager[sa.Connection]:
        """A transaction that nobody writes beside, durable when it ends.

        With `create`, a database that does not exist is created where that is possible.
        """

    @abstractmethod
    def insert(self, table: Any) -> Any:
        """An INSERT that knows `on_conflict_do_update`."""

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Whether a column is one of some hundred values."""
        return column.in_(values)

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], newer: str
    ) -> None:
        """Makes one of Lockstep's own tables hold these rows, but where its `newer` column is greater."""
        connection.execute(replacing(self.insert(table), table, newer), list(rows))

    @abstractmethod
    def key_bytes(self, connection: sa.Connection, rows: Rows, alias: str) -> sa.ColumnElement[bytes]:
        """The key bytes of a row of the user's table, which the statement calls `alias`; null where its
        key is none. Raises CannotSum where the database cannot make them."""

    @abstractmethod
    def hash_sql(
        self, connection: sa.Connection, rows: Rows, names: Sequence[str], alias: str | None
    ) -> Hash:
        """How the database hashes these columns of a row of the user's table, as they are stored. Equal rows
        have equal hashes under every setting of a session that Lockstep may have."""

    def hashes_sql(
        self, connection: sa.Connection, rows: Rows, names: Sequence[str], alias: str | None
    ) -> list[Hash]:
        """That of `hash_sql`, then those of earlier versions: what was not written since still has theirs."""
        return [self.hash_sql(connection, rows, names, alias)]

    def grouped(self, rows: Rows, name: str) -> str:
        """SQL of a column, read as ever, in which the database takes for equal just what Lockstep does.
        Raises CannotSum where there is none."""
        raise CannotSum(f"{self.system} is read here in any case")

    def added(self, rows: Rows, name: str) -> str:
        """SQL of the exact sum of a column, as text. Raises CannotSum where there is none."""
        raise CannotSum(f"{self.system} is read here in any case")

    @abstractmethod
    def rows(self, table: str, key: Sequence[str], columns: Columns) -> Rows:
        """The user's table as statements."""

    def count(self, connection: sa.Connection, rows: sa.TableClause, key: str) -> int:
        """How many rows have a key; where there are many, about how many."""
        query = sa.select(sa.func.count()).select_from(rows).where(sa.column(key).is_not(None))
        return int(connection.execute(query).scalar_one())

    def declared(self, type_: str, in_key: bool) -> str:
        """A declared type as CREATE TABLE is to have it."""
        return type_

    def trouble(self, connection: sa.Connection, table: str) -> tuple[str, str] | None:
        """What keeps this user from writing to a table, and the mend."""
        return None

    def again(self, error: DBAPIError) -> bool:
        """Whether the database undid the transaction for another's sake: it may simply be run again."""
        return False

    @abstractmethod
    def columns(self, connection: sa.Connection, table: str) -> Columns:
        """The columns of a table that can be written; none where there is no such table."""

    @abstractmethod
    def codec(self, declared: str) -> Codec:
        """How a column of this declared type holds values."""

    @abstractmethod
    def kept(self, codec: Codec, cells: Sequence[Any]) -> list[Any]:
        """What a column of this type would hold for each of these cells, as cells that are read; DataError in
        the place of one that it would refuse. None at all where that cannot be told. Writes nothing."""

    @abstractmethod
    def unique(self, connection: sa.Connection, table: str, key: Sequence[str]) -> bool:
        """Whether exactly these columns are unique in a table, telling apart all texts."""

    @abstractmethod
    def error(self, error: DBAPIError) -> LockstepError:
        """What the driver's error means; DataError where the row is at fault, with the database's reason."""

    @abstractmethod
    def close(self) -> None: ...


def replacing(insert: Any, table: sa.Table, newer: str) -> Any:
    """An INSERT that replaces the row of the same primary key, unless its `newer` column is greater."""
    key = [column.name for column in table.primary_key]
    new = {column.name: insert.excluded[column.name] for column in table.c if column.name not in key}
    return insert.on_conflict_do_update(
        index_elements=key, set_=new, where=table.c[newer] <= insert.excluded[newer]
    )
