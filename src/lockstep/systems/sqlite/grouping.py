"""Groups and exact totals of a SQLite table, by its own GROUP BY.

SQLite compares whole numbers and reals exactly, texts byte by byte where that is said, and never takes a text
for a number: it never joins two groups that Lockstep tells apart. Its own `sum()` overflows and rounds, so
the sum is a function of ours, which sees each number once and no row.
"""

from __future__ import annotations

import decimal
import re
import sqlite3
from decimal import Decimal
from typing import Any

from lockstep.errors import CannotSum
from lockstep.systems.sqlite import types
from lockstep.systems.sqlite.client import quoted

FUNCTION = "lockstep_total"

_GROUPED = frozenset({"int", "str", "bool", "UUID", "dt.date"})
_ADDED = frozenset({"int", "float", "Decimal"})
_NUMBER = re.compile(r"[+-]?\d{1,2000}(\.\d{0,2000})?([eE][+-]?\d{1,3})?", re.ASCII)
_EXACT = decimal.Context(prec=10_000, traps=[decimal.Inexact, decimal.InvalidOperation])


class _Total:
    """The sum of what is stored. Where something is no number, or the sum has too many digits, it is sNaN."""

    def __init__(self) -> None:
        self._whole = 0
        self._rest = Decimal(0)
        self._told = True

    def step(self, cell: Any) -> None:
        if cell is None:
            return
        if type(cell) is int:
            self._whole += cell
            return
        text = repr(cell) if type(cell) is float else cell
        if type(text) is not str or not _NUMBER.fullmatch(text):
            self._told = False
            return
        self._add(Decimal(text))

    def _add(self, number: Decimal) -> None:
        try:
            self._rest = _EXACT.add(self._rest, number)
        except decimal.DecimalException:
            self._told = False

    def finalize(self) -> str:
        self._add(Decimal(self._whole))
        return str(self._rest) if self._told else "sNaN"


def register(connection: sqlite3.Connection) -> None:
    """Lets SQL on this connection say `lockstep_total(column)`."""
    connection.create_aggregate(FUNCTION, 1, _Total)  # type: ignore[arg-type]  # it takes any cell


def grouped(name: str, declared: str) -> str:
    """See `Dialect.grouped`."""
    if types.kind_of(declared).python not in _GROUPED:
        raise CannotSum(f"column {name} is {declared or 'without a type'}, grouped otherwise by the server")
    return f"{quoted(name)} COLLATE BINARY"


def added(name: str, declared: str) -> str:
    """See `Dialect.added`."""
    if types.kind_of(declared).python not in _ADDED:
        raise CannotSum(f"column {name} is {declared or 'without a type'}, which is not added up here")
    return f"{FUNCTION}({quoted(name)})"
