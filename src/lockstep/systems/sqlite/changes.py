"""From rows of the log to hints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lockstep.forms import keys
from lockstep.systems.sqlite import cells
from lockstep.systems.sqlite.install import Layout
from lockstep.systems.sqlite.position import Place
from lockstep.systems.sqlite.schema import Column
from lockstep.systems.sqlite.triggers import DELETED, INSERTED, MARKER, REPLACED
from lockstep.values import EVERYTHING, Hint, JoinValues, Key

_UNIX = 2440587.5  # the Julian day of 1970


@dataclass(frozen=True)
class Decoder:
    """Reads the rows of one layout. `joins`: the columns that hints of this table must carry now."""

    layout: Layout
    columns: tuple[Column, ...]
    joins: tuple[str, ...]

    def hints(self, change: Sequence[Any]) -> list[Hint]:
        """The hints of a row (n, token, at, operation, before…, after…)."""
        n, token, at, operation, *values = change
        place = Place(n, token).text
        table = self.layout.wanted.table
        moment = (at - _UNIX) * 86400.0
        if operation == MARKER:
            return [Hint(table, span=EVERYTHING, reason="capture begins", position=place, at=moment)]
        if not set(self.joins) <= set(self.layout.wanted.joins):
            return []  # written before capture was installed anew, which hints the whole table
        width = len(self.columns)
        before, old_joins = (None, None) if operation == INSERTED else self._image(values[:width])
        if operation in (DELETED, REPLACED):
            return (
                [] if before is None else [Hint(table, before, before=old_joins, position=place, at=moment)]
            )
        after, new_joins = self._image(values[width : 2 * width])
        if before == after:
            if before is None:
                return []
            return [Hint(table, before, before=old_joins, after=new_joins, position=place, at=moment)]
        found = []
        if before is not None:
            found.append(Hint(table, before, before=old_joins, position=place, at=moment))
        if after is not None:
            found.append(Hint(table, after, after=new_joins, position=place, at=moment))
        return found

    def _image(self, values: Sequence[Any]) -> tuple[Key | None, JoinValues | None]:
        """A key and the join values, None where there is no row, or none with a key."""
        parts = [cells.key_value(column, value) for column, value in zip(self.columns, values, strict=True)]
        width = len(self.layout.wanted.key)
        if None in parts[:width]:
            return None, None
        joins = dict(zip(self.layout.wanted.joins, map(keys.encode_one, parts[width:]), strict=True))
        return keys.encode(parts[:width]), joins


def decoder(layout: Layout, joins: tuple[str, ...]) -> Decoder:
    columns = tuple(
        Column(name, declared, True, None, 0, False)
        for name, declared in zip(layout.wanted.columns, layout.types, strict=True)
    )
    return Decoder(layout, columns, joins)
