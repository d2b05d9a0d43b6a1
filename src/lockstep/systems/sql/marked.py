"""The user's table, as long as it has Lockstep's marker."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from lockstep.errors import TargetReplaced
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.moment import Moment
from lockstep.systems.sql.rows import Rows


class Marked:
    """One table. All but the constructor and `missing` raise TargetReplaced where it is not there."""

    def __init__(self, dialect: Dialect, table: str, key: Sequence[str], own: Companion) -> None:
        self._dialect, self._table, self._key, self._own = dialect, table, key, own
        _, self._bare = dialect.place(table)

    def moment(self) -> Moment:
        """A moment in which it is read."""
        self.assert_there()
        return Moment(self._dialect)

    def assert_there(self) -> None:
        """What is not there must not be made by being opened."""
        if not self._dialect.there():
            raise self.missing()

    def rows(self, connection: sa.Connection) -> Rows:
        """The table as it is now. A write to a table without our marker would be one to another target."""
        columns = self._dialect.columns(connection, self._table)
        targets = self._own.targets
        if not columns or not sa.inspect(connection).has_table(targets.name, targets.schema):
            raise self.missing()
        query = sa.select(targets.c.id).where(targets.c.name == self._bare)
        if connection.execute(query).first() is None:
            raise self.missing()
        return self._dialect.rows(self._table, self._key, columns)

    def missing(self) -> TargetReplaced:
        return TargetReplaced(
            f"table {self._table} in {self._dialect.system} is missing, or has lost Lockstep's marker",
            "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.",
        )
