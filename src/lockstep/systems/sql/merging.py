"""Making a table hold just the rows of another one, by as few writes as that takes.

The table stays, with all that hangs on it: views, grants, triggers, foreign keys. Rows that are as they
should be are not touched, so nobody's trigger fires for them and nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lockstep.errors import Refused
from lockstep.systems.sql.copier import Copier, Reference


class Merge:
    """From `staged` into `table`, both as SQL names. A row is the same one while its columns `key` are."""

    def __init__(
        self, connection: sa.Connection, copier: Copier, table: str, staged: str, key: Sequence[str]
    ) -> None:
        self._connection, self._copier, self._table, self._staged = connection, copier, table, staged
        self._key = [quoted(name) for name in key]
        self._same = " AND ".join(f"s.{name} = t.{name}" for name in self._key)
        self._gone = f"NOT EXISTS (SELECT 1 FROM {staged} AS s WHERE {self._same})"
        self._missing = f"NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {self._same})"

    def run(self, columns: Sequence[str], referring: Sequence[Reference]) -> None:
        """Merges the columns. Raises Refused where a row of somebody else's would be lost with one of ours,
        or a trigger keeps rows as they are."""
        for reference in referring:
            self._harmless(reference)
        delete, update, insert = self._statements(columns)
        orders = [
            [delete, update, insert],
            [insert, update, delete],  # rows may refer to others of the table
        ]
        if not referring:  # rows may have exchanged values that are unique
            orders.append([f"{delete} OR EXISTS ({self._changed(columns)})", insert])
        self._first_that_fits(orders)
        for rest, where in (("more", f"FROM {self._table} AS t WHERE {self._gone}"), self._lacking()):
            if self._execute(f"SELECT 1 {where} LIMIT 1").first():
                raise Refused(
                    f"table {self._table} holds {rest} rows than were saved, after they were written",
                    "Look for a trigger that drops or adds rows; nothing was changed.",
                )

    def _lacking(self) -> tuple[str, str]:
        return "fewer", f"FROM {self._staged} AS s WHERE {self._missing}"

    def _statements(self, columns: Sequence[str]) -> tuple[str, str, str]:
        names = [quoted(name) for name in columns]
        others = [name for name in names if name not in self._key]
        delete = f"DELETE FROM {self._table} AS t WHERE {self._gone}"
        update = ""
        if others:
            assigned = ", ".join(f"{name} = s.{name}" for name in others)
            update = (
                f"UPDATE {self._table} AS t SET {assigned} FROM {self._staged} AS s "
                f"WHERE {self._same} AND {self._copier.differ(self._others(columns))}"
            )
        insert = (
            f"INSERT INTO {self._table} ({', '.join(names)}) {self._copier.overriding}"
            f"SELECT {', '.join(f's.{name}' for name in names)} FROM {self._staged} AS s "
            f"WHERE {self._missing}"
        )
        return delete, update, insert

    def _others(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if quoted(name) not in self._key]

    def _changed(self, columns: Sequence[str]) -> str:
        others = self._others(columns)
        differ = self._copier.differ(others) if others else "1 = 0"
        return f"SELECT 1 FROM {self._staged} AS s WHERE {self._same} AND {differ}"

    def _first_that_fits(self, orders: Sequence[Sequence[str]]) -> None:
        refused: IntegrityError | None = None
        for order in orders:
            try:
                with self._connection.begin_nested():
                    for statement in filter(None, order):
                        self._execute(statement)
                return
            except IntegrityError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    def _harmless(self, reference: Reference) -> None:
        if not reference.changes:
            return
        joined = " AND ".join(f"c.{quoted(of)} = t.{quoted(to)}" for of, to in reference.columns)
        query = (
            f"SELECT count(*) FROM {reference.by} AS c "
            f"WHERE EXISTS (SELECT 1 FROM {self._table} AS t WHERE {joined} AND {self._gone})"
        )
        count = int(self._execute(query).scalar_one())
        if count:
            raise Refused(
                f"{count} rows of {reference.by} refer to rows of {self._table} that came after the saved "
                "state, and would be removed or changed with them (ON DELETE)",
                f"Move these rows of {reference.by} away, or let the foreign key say NO ACTION meanwhile.",
            )

    def _execute(self, sql: str) -> sa.CursorResult[Any]:
        return self._connection.execute(literally(sql))


def quoted(*names: str | None) -> str:
    """Names as one for SQL, whatever signs are in them. None is left out."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names if name is not None)


def literally(sql: str) -> sa.TextClause:
    """A statement without parameters: no colon in it begins one."""
    return sa.text(sql.replace(":", "\\:"))
