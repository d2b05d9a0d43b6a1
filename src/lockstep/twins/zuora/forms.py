"""How values are written as JSON: decimals as numbers with all digits, instants as the API has them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def encode(value: Any) -> bytes:
    return _ENCODER.encode(value)


def decode(data: bytes | str) -> Any:
    """Numbers with a fraction come as Decimal. Raises msgspec.DecodeError."""
    return _DECODER.decode(data)


def instant(at: datetime) -> str:
    """With milliseconds, in UTC: texts that sort as the instants do."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+00:00"


def same_instant(text: str) -> str:
    """A text as `instant` writes it, where it is an instant in any other form of ISO 8601; else as it is."""
    if len(text) < 11 or text[10] not in "T ":
        return text
    try:
        at = datetime.fromisoformat(text.replace(" ", "+") if text[10] == "T" else text)
    except ValueError:
        return text
    return instant(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


def bare(doc: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that are null."""
    return {name: value for name, value in doc.items() if value is not None}
