"""Places between keys."""

from __future__ import annotations

from lockstep.forms import keys
from lockstep.values import Key


def evenly(first: Key, last: Key, count: int) -> list[Key]:
    """Evenly spaced places between two keys: by value where they are numbers, else by their bytes."""
    readable = keys.readable(first) and keys.readable(last)  # a row may have been damaged
    low, high = (keys.decode(first), keys.decode(last)) if readable else ((first,), (last,))
    at = next((at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), 0)
    if isinstance(low[at], int) and isinstance(high[at], int):
        step = high[at] - low[at]
        return [keys.encode((*low[:at], low[at] + step * n // count)) for n in range(1, count)]
    width = max(len(first), len(last))
    begin, end = (int.from_bytes(key.ljust(width, b"\0"), "big") for key in (first, last))
    return [Key((begin + (end - begin) * n // count).to_bytes(width, "big")) for n in range(1, count)]
