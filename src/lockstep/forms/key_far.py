"""Far dates and moments, and times with a zone, in key bytes: `forms.keys` says the format of them."""

from __future__ import annotations

import datetime as dt
import math

from lockstep.datatypes.far import DAY, Far, FarDate, FarDatetime, FarTime, Place, clock_micros
from lockstep.errors import DataError


def put_far(out: bytearray, value: Far) -> None:
    """Raises DataError where it is further away than the format has room for."""
    if isinstance(value, FarTime):
        if value.tzinfo is not None:
            put_zoned(out, value)
            return
        out.append(0x34)
        out += DAY.to_bytes(8, "big")
        return
    if isinstance(value, FarDate):
        tags, size = (0x33, 0x2B), 4
    else:
        assert isinstance(value, FarDatetime)
        tags, size = ((0x35, 0x2D) if value.tzinfo is None else (0x36, 0x2E)), 8
    room = 1 << 8 * size
    out.append(tags[value.place < 0])
    place = value.place
    if not value.infinite and not -room < place < room - 1:
        raise DataError(f"{value.text} is too far away to be part of a key", "Use another key column.")
    whole = (room - 1 if place > 0 else 0) if value.infinite else int(place) % room
    out += whole.to_bytes(size, "big")


def put_zoned(out: bytearray, value: dt.time) -> None:
    """A time of day with a zone, 24:00 too."""
    offset = value.utcoffset()
    west = 0 if offset is None else -int(offset.total_seconds())
    out.append(0x37)
    out += (clock_micros(value) + west * 1_000_000 + (1 << 63)).to_bytes(8, "big")
    out += (west + (1 << 31)).to_bytes(4, "big")


def place_from(raw: bytes, before: bool) -> Place:
    """Days or microseconds since the year 1; `before`: a time before it."""
    room = 1 << 8 * len(raw)
    place = int.from_bytes(raw, "big")
    if before:
        return place - room if place else -math.inf
    return place if place < room - 1 else math.inf
