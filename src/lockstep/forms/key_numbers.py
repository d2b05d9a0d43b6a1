"""Numbers in key bytes: the part of the format that `forms.keys` says of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lockstep.errors import DataError

_FRACTION_DIGITS = 16_383  # PostgreSQL's own limit; keeps 1E-1000000 from filling memory


def put_int(out: bytearray, value: int) -> None:
    """A whole number, or the whole part of one, without the zero byte that ends it."""
    size = (value.bit_length() + 7) // 8
    if value >= 0:
        if size <= 8:
            out.append(0x14 + size) if size < 8 else out.extend((0x1C, 0, 0, 0, 8))
        else:
            out.append(0x1C)
            out += size.to_bytes(4, "big")
        out += value.to_bytes(size, "big")
        return
    size = ((~value).bit_length() + 7) // 8 if value != -1 else 0
    size = max(size, 1)
    if size < 8:
        out.append(0x14 - size)
    else:
        out.append(0x0C)
        out += (0xFFFFFFFF - size).to_bytes(4, "big")
    out += ((1 << (8 * size)) + value).to_bytes(size, "big")


def put_number(out: bytearray, value: float | Decimal) -> None:
    """Any other number, to its end. Raises DataError where it has too many digits."""
    number = Decimal(repr(value)) if isinstance(value, float) else value
    if number.is_nan():
        out.append(0x1E)
        return
    if number.is_infinite():
        out.append(0x1D if number > 0 else 0x0B)
        return
    sign, figures, exponent = (number or Decimal()).as_tuple()
    assert isinstance(exponent, int)
    if abs(exponent) > 131_072 + _FRACTION_DIGITS:
        raise DataError(f"the number {value} has too many digits to be a key", "Use another key column.")
    unscaled = int(Decimal((sign, figures, 0)))  # Python's int takes no text of 4,301 digits, Decimal does
    if exponent >= 0:
        put_int(out, unscaled * 10**exponent)
    else:
        whole, rest = divmod(unscaled, 10**-exponent)  # floor: the fraction is never negative
        put_int(out, whole)
        out += digits(rest).rjust(-exponent, "0").rstrip("0").encode() if rest else b""
    out.append(0)


def digits(value: int) -> str:
    """`str` without Python's limit of 4,300 digits."""
    return str(value) if value.bit_length() < 10_000 else str(Decimal(value))


def take_number(key: bytes, tag: int, at: int) -> tuple[Any, int]:
    """The number behind a tag that was read at `at - 1`, and where it ends."""
    if tag == 0x0B or tag == 0x1D:
        return Decimal("-Infinity" if tag == 0x0B else "Infinity"), at
    if tag == 0x1E:
        return Decimal("NaN"), at
    if tag in (0x0C, 0x1C):
        size = int.from_bytes(key[at : at + 4], "big")
        size = size if tag == 0x1C else 0xFFFFFFFF - size
        at += 4
    else:
        size = abs(tag - 0x14)
    whole = int.from_bytes(key[at : at + size], "big")
    if tag < 0x14:
        whole -= 1 << (8 * size)
    at += size
    end = key.index(0, at)
    if end == at:
        return whole, end + 1
    fraction = key[at:end].decode()
    unscaled = whole * 10 ** len(fraction) + int(Decimal(fraction))
    return Decimal((unscaled < 0, Decimal(unscaled).as_tuple().digits, -len(fraction))), end + 1
