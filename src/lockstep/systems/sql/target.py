"""A SQL table as a mapping's target, as declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from lockstep.errors import LockstepError
from lockstep.keys import encode
from lockstep.systems.sql import standing
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.writer import SQLWriter
from lockstep.values import Finding, Key

TOMBSTONES = 3600.0
"""Seconds for which a deleted key's version is remembered."""


class SQLTarget:
    """A table. It has one build: every generation is the user's one table, told apart by its marker."""

    def __init__(
        self,
        dialect: Callable[[], Dialect],
        table: str,
        key: Sequence[str] = ("id",),
        columns: Mapping[str, str] | None = None,
        tombstones: float = TOMBSTONES,
    ) -> None:
        self._dialect, self._table, self._key_columns = dialect, table, tuple(key)
        self._declared = dict(columns or {})
        self._tombstones = tombstones
        closed = dialect()
        self._system = closed.system
        standing.validate(closed, table, self._key_columns, self._declared)
        self._codecs = [closed.codec(self._declared[name]) for name in self._key_columns if self._declared]

    @property
    def name(self) -> str:
        return f"{self._system}/{self._table}"

    def key(self, values: Sequence[Any]) -> Key:
        """With declared columns, as they will hold it: a number in a text column becomes its text."""
        if not self._codecs or len(values) != len(self._codecs):
            return encode(values)
        normal = []
        for codec, value in zip(self._codecs, values, strict=True):
            try:
                normal.append(codec.decode(codec.encode(value)))
            except (ValueError, ArithmeticError, LockstepError):
                return encode(values)  # its write will be rejected, with the reason
        return encode(normal)

    def open(self, generation: int) -> SQLWriter:
        return SQLWriter(self._dialect(), self._table, self._key_columns, self._declared, self._tombstones)

    def check(self) -> list[Finding]:
        dialect = self._dialect()
        try:
            return self._check(dialect)
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
