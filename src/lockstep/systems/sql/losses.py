"""What columns would hold of records, before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lockstep.errors import DataError
from lockstep.ports import Loss
from lockstep.systems.sql.columns import Codec, Columns, as_text
from lockstep.systems.sql.dialect import Dialect
from lockstep.values import Record

_TEXTS = re.compile("char|text|clob|name|string", re.I)


def losses(dialect: Dialect, columns: Columns, key: Sequence[str], records: Sequence[Record]) -> list[Loss]:
    """See `ports.HoldingTarget`. A key that would be another one is refused, and so is a name of no column,
    even without a value: a write takes it for a slip."""
    found: list[Loss] = []
    for name in dict.fromkeys(name for record in records for name in record):
        named = [(place, record[name]) for place, record in enumerate(records) if name in record]
        if name in columns:
            values = [(place, value) for place, value in named if value is not None]
            found += _column(dialect, columns[name], name, name in key, values)
        else:
            there = f"its columns are {', '.join(columns)}"
            found += (Loss(place, name, None, value, refused=there) for place, value in named)
    return found


def _column(
    dialect: Dialect, codec: Codec, name: str, in_key: bool, values: Sequence[tuple[int, Any]]
) -> Iterator[Loss]:
    sent: list[tuple[int, Any, Any]] = []
    for place, value in values:
        try:
            sent.append((place, value, codec.encode(value)))
        except (ValueError, OverflowError, ArithmeticError, DataError) as error:
            yield Loss(place, name, codec.declared, value, refused=str(error))
    cells = dialect.kept(codec, [cell for _, _, cell in sent]) if sent else []
    if not cells:
        return
    for (place, value, _), cell in zip(sent, cells, strict=True):
        if isinstance(cell, DataError):
            yield Loss(place, name, codec.declared, value, refused=str(cell))
            continue
        held = codec.decode(cell)
        if not _same(value, held, codec.declared):
            refused = "it is in the key, which would be another one" if in_key else None
            yield Loss(place, name, codec.declared, value, held, refused)


def _same(value: Any, held: Any, declared: str) -> bool:
    """Whether nothing is lost. What a text says in the form of another type (an address, a range) has many
    spellings, and so has a range: of these it is not claimed."""
    if isinstance(value, list | tuple) and isinstance(held, list) and len(value) == len(held):
        return all(_same(one, other, declared) for one, other in zip(value, held, strict=True))
    if isinstance(value, dict) or (isinstance(value, str) and not _TEXTS.search(declared)):
        return True
    return bool(value == held) or as_text(value) == as_text(held)
