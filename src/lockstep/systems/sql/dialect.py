"""What a database must say of itself for the SQL writer to work on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import LockstepError
from lockstep.systems.sql.columns import Codec, Columns


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

    @abstractmethod
    def columns(self, connection: sa.Connection, table: str) -> Columns:
        """The columns of a table that can be written; none where there is no such table."""

    @abstractmethod
    def codec(self, declared: str) -> Codec:
        """How a column of this declared type holds values."""

    @abstractmethod
    def unique(self, connection: sa.Connection, table: str, key: Sequence[str]) -> bool:
        """Whether exactly these columns are unique in a table, telling apart all texts."""

    @abstractmethod
    def error(self, error: DBAPIError) -> LockstepError:
        """What the driver's error means; DataError where the row is at fault, with the database's reason."""

    @abstractmethod
    def close(self) -> None: ...
