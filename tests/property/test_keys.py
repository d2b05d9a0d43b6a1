"""Key bytes: their order is the order of the values, and they give the values back."""

from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.values import Key
from tests.property.values import KINDS, NANS, NUMBERS, TEXTS, VALUES

_RANK: dict[type[Any], int] = {bool: 0, int: 1, float: 1, Decimal: 1, str: 2, bytes: 3, UUID: 4, dt.date: 5}


def order(value: Any) -> tuple[Any, ...]:
    """Where a value belongs, by the rules of `lockstep.forms.keys`' docstring, said in another way."""
    if isinstance(value, bool):
        return 0, value
    if isinstance(value, int | float | Decimal):
        exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if exact.is_nan():
            return 1, 2, 0
        return (1, 1 if exact > 0 else -1, 0) if exact.is_infinite() else (1, 0, Fraction(exact))
    if isinstance(value, str):
        return 2, value.encode("utf-8", "surrogatepass")
    if isinstance(value, dt.datetime):
        return (8, value.astimezone(dt.UTC).replace(tzinfo=None)) if value.tzinfo else (7, value)
    if isinstance(value, dt.time):
        return 6, value
    return _RANK[type(value)], value.bytes if isinstance(value, UUID) else value


def encode(*values: Any) -> bytes:
    """The key, where it is one: not beyond the limits of digits or of the calendar."""
    try:
        return keys.encode(values)
    except DataError as error:
        assume("digits" not in str(error) and "calendar" not in str(error))
        raise


@given(st.sampled_from([*KINDS, NANS]).flatmap(lambda kind: st.tuples(kind, kind)))
@example((-1, 0))
@example((-256, -257))
@example((-(1 << 56), -(1 << 56) - 1))
@example((0.1, Decimal("0.1")))
@example((-0.0, 0))
@example((Decimal("0E+999999"), 0))
@example((Decimal("-0.5"), -1))
@example((255, 256.0))
@example(("a", "a\0"))
@example(("a", "a\0\xff"))
@example((float("-inf"), -(10**400)))
@example((10**5000, Decimal(10**5000)))
def test_order_of_one_type(pair: tuple[Any, Any]) -> None:
    one, other = pair
    first, second = encode(one), encode(other)
    assert (first < second) == (order(one) < order(other))
    assert (first == second) == (order(one) == order(other))


def two_of(kinds: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(st.tuples(*kinds), st.tuples(*kinds))


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3).flatmap(two_of))
def test_order_of_composite_keys(pair: tuple[tuple[Any, ...], tuple[Any, ...]]) -> None:
    one, other = pair
    first, second = encode(*one), encode(*other)
    wanted, than = [order(v) for v in one], [order(v) for v in other]
    assert (first < second) == (wanted < than)
    assert (first == second) == (wanted == than)


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3))
@example([b""], [b"\x00"])
def test_a_key_begins_with_those_of_its_leading_values_alone(one: list[Any], other: list[Any]) -> None:
    """But for a text, or bytes, that another continues with NUL: 00 ends the one, 00 FF goes on."""
    first, second = encode(*one), encode(*other)
    if second.startswith(first) and second[len(first) : len(first) + 1] != b"\xff":
        assert [order(v) for v in one] == [order(v) for v in other[: len(one)]]


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_decode_gives_the_values_back(values: list[Any]) -> None:
    key = encode(*values)
    found = keys.decode(Key(key))
    assert [order(v) for v in found] == [order(v) for v in values]
    assert keys.encode(found) == key
    one = keys.encode_one(values[0])
    assert one is not None
    assert order(keys.decode_one(one)) == order(values[0])


@given(NUMBERS)
def test_whole_numbers_come_back_as_int(value: Any) -> None:
    assume(Decimal(value).is_finite())
    (found,) = keys.decode(Key(encode(value)))
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    assert (type(found) is int) == (Fraction(exact).denominator == 1)


@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_the_text_of_a_composite_key_splits_into_its_parts(values: list[str]) -> None:
    assert keys.split_text(keys.text(keys.encode(values))) == tuple(values)


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_every_key_has_a_text_that_is_the_text_of_its_values(values: list[Any]) -> None:
    key = Key(encode(*values))
    assert keys.text(key) == keys.text_of(values)


@given(st.lists(st.one_of(VALUES, st.none(), st.lists(st.integers()), st.complex_numbers()), max_size=3))
def test_nothing_else_than_DataError(values: list[Any]) -> None:
    with contextlib.suppress(DataError):
        keys.encode(values)


@given(st.binary(), st.integers(1, 100))
def test_partitions(key: bytes, partitions: int) -> None:
    assert 0 <= keys.partition_of(Key(key), partitions) < partitions


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, object(), 1j])
def test_what_is_no_part_of_a_key(value: Any) -> None:
    with pytest.raises(DataError):
        keys.encode((1, value))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((7,), "7"),
        (("acme", 7), "acme|7"),
        (("a|b\\", True), "a\\|b\\\\|true"),
        ((Decimal("1.50"),), "1.5"),
        ((1e21,), "1000000000000000000000"),
        ((0.000001,), "0.000001"),
        ((float("nan"),), "NaN"),
        ((float("-inf"),), "-Infinity"),
        ((b"\0\xff",), "00ff"),
        ((bytearray(b"\1"),), "01"),
        ((dt.date(2026, 3, 8),), "2026-03-08"),
        (
            (dt.datetime(2026, 3, 8, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),),
            "2026-03-08T08:30:00Z",
        ),
        ((dt.datetime(2026, 3, 8, 9, 30),), "2026-03-08T09:30:00"),  # noqa: DTZ001 - in no zone is meant
        ((UUID(int=1),), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_texts(values: tuple[Any, ...], text: str) -> None:
    assert keys.text_of(values) == text
    assert keys.text(keys.encode(values)) == text
