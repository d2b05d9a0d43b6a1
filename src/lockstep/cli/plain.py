"""Results as JSON: the fields of the operations' structs, by their own names.

Times (`…_at` fields) are ISO 8601 in UTC, keys are texts as people type them, bytes are hex, exact decimals
and what JSON has no form for are texts.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from lockstep.forms import keys
from lockstep.values import Key

_KEY_FIELDS = frozenset({"key", "claim", "target_key"})


def plain(value: Any) -> Any:
    """A struct or a value as what JSON can hold."""
    if isinstance(value, msgspec.Struct):
        return {name: _field(name, getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _field(name, getattr(value, name)) for name in value._fields}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _leaf(value)


def moment(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return (
        dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def dumps(value: Any, *, one_line: bool = False) -> str:
    """JSON text, indented unless it must be one line."""
    return json.dumps(plain(value), ensure_ascii=False, indent=None if one_line else 2, allow_nan=False)


def _field(name: str, value: Any) -> Any:
    if isinstance(value, float) and name.endswith("_at"):
        return moment(value)
    if isinstance(value, bytes) and name in _KEY_FIELDS:
        return keys.text(Key(value))
    return plain(value)


def _leaf(value: Any) -> Any:
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(Decimal(value))
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dt.timedelta):
        return msgspec.to_builtins(value)
    return str(value)
