"""Positions in PostgreSQL's log: a 64-bit number, written as two hexadecimal halves, `16/B374D848`."""

from __future__ import annotations


def number(text: str) -> int:
    """The number of a position. Raises ValueError where it is none."""
    high, slash, low = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} is no position in a PostgreSQL log")
    return int(high, 16) << 32 | int(low, 16)


def text(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
