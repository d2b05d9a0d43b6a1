"""A key as a person types it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

from psycopg import Cursor, InterfaceError, OperationalError

from lockstep.datatypes.far import read_date, read_datetime
from lockstep.errors import DataError, Refused
from lockstep.forms import keys
from lockstep.systems.postgres import binds, tables
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.loaders import with_far
from lockstep.systems.postgres.tables import Column
from lockstep.values import Key, Table

_AT_ONCE = 5_000
"""Keys in one question to the server."""


def parse_keys(address: Address, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
    """For each the key, its texts read as the server reads them, or as `keys.text` shows them."""
    with mapped(f"reading what the catalog says of {table.name}"), address.connect() as connection:
        info = tables.load(connection, [table.name]).get(table.name)
        if info is None:
            raise Refused(f"there is no table {table.name}", "Run `lockstep check`.")
        with connection.cursor(binary=True) as cursor:
            with_far(cursor.adapters)
            reading = _Reading(cursor, table, [info.column(name) for name in table.key])
            return [
                key
                for start in range(0, len(typed), _AT_ONCE)
                for key in reading.keys(typed[start : start + _AT_ONCE])
            ]


class _Reading:
    """The server's own reading of texts as values of some columns."""

    def __init__(self, cursor: Cursor[tuple[Any, ...]], table: Table, columns: Sequence[Column]) -> None:
        self._cursor = cursor
        self._table = table
        self._columns = columns
        given = ", ".join(f"${place}::text[]" for place in range(1, len(columns) + 1))
        names = ", ".join(f"c{place}" for place in range(1, len(columns) + 1))
        read = ", ".join(
            column.known.read.replace("{}", f"(t.c{place}::text::{column.known.cast})")
            for place, column in enumerate(columns, 1)
        )
        self._query = (
            f"SELECT {read} FROM unnest({given}) WITH ORDINALITY AS t({names}, n) ORDER BY t.n".encode()
        )

    def keys(self, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        """Where the server refuses some together, each half of them is asked again."""
        if not typed:
            return []
        if any(len(parts) != len(self._columns) for parts in typed):
            if len(typed) == 1:
                return [self._other_number(len(typed[0]))]
        else:
            try:
                return list(self._asked(typed))
            except (OperationalError, InterfaceError):  # of the server, whatever the key
                raise
            except Exception as error:
                if len(typed) == 1:
                    return [self._no_key(typed[0], error)]
        half = len(typed) // 2
        return self.keys(typed[:half]) + self.keys(typed[half:])

    def _asked(self, typed: Sequence[Sequence[str]]) -> list[Key]:
        given = [
            [_shown(column.known.name, parts[place]) for parts in typed]
            for place, column in enumerate(self._columns)
        ]
        return [keys.encode(row) for row in self._cursor.execute(self._query, given).fetchall()]

    def _other_number(self, parts: int) -> DataError:
        names = self._table.key
        return DataError(
            f"the key of {self._table.name} has {len(names)} parts ({', '.join(names)}), not {parts}",
            'Type them with "|" between them.',
        )

    def _no_key(self, parts: Sequence[str], error: Exception) -> DataError:
        labels = ", ".join(f"{column.name} ({column.label})" for column in self._columns)
        return DataError(
            f"{'|'.join(parts)!r} is no key of {self._table.name}: {error}", f"Its parts are {labels}."
        )


def _shown(type_: str, part: str) -> str:
    """What the server understands of a part that was copied from where Lockstep shows it."""
    if type_ == "bytea" and re.fullmatch(r"(?:[0-9a-f]{2})*", part):
        return f"\\x{part}"
    far = {"date": (read_date, binds.date), "timestamp": (read_datetime, binds.timestamp(False))}
    read, bind = far.get(type_, (read_datetime, binds.timestamp(True)))
    if type_ in ("date", "timestamp", "timestamptz"):
        with contextlib.suppress(ValueError):
            return bind(read(part)) or part
    return part
