"""The canonical form: equal by value is equal by byte, and nothing but DataError comes out of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lockstep.datatypes.interval import duration
from lockstep.errors import DataError
from lockstep.forms.canonical import canonical, fingerprint, formed, number
from lockstep.systems.opensearch import wire
from lockstep.values import Key
from tests.property.values import DECIMALS, FLOATS, INSTANTS, INTS, NAMES, RECORDS, TREES, ZONES


def form(value: Any) -> bytes:
    return canonical({"": value})


@given(st.one_of(INTS, DECIMALS, FLOATS), st.one_of(INTS, DECIMALS, FLOATS))
def test_numbers_are_equal_by_value(one: Any, other: Any) -> None:
    exact = [Decimal(repr(n)) if isinstance(n, float) else Decimal(n) for n in (one, other)]
    try:
        assert (form(one) == form(other)) == (exact[0] == exact[1])
    except DataError as error:
        assume("digits" not in str(error))
        raise


@given(st.integers(-(10**18), 10**18), st.integers(0, 30))
def test_scale_does_not_matter(value: int, zeros: int) -> None:
    scaled = Decimal(value).scaleb(-3)
    padded = Decimal(f"{scaled:f}" + ("0" * zeros))
    assert form(scaled) == form(padded)
    assert form(value) == form(Decimal(f"{value}.{'0' * zeros}"))


@pytest.mark.parametrize("digits", [4299, 4300, 5000, 100_000])
def test_integers_of_any_size(digits: int) -> None:
    value = 10**digits - 7
    assert form(value) == form(Decimal(value))
    assert form(-value) != form(value)


def test_never_through_a_float() -> None:
    assert form(Decimal("0.1")) == form(0.1) == b'{"":0.1}'
    assert form(Decimal("0.1000000000000000055511151231257827")) != form(0.1)
    assert form(2**53) != form(2**53 + 1)
    assert form(Decimal(2**70)) == form(2**70) != form(2**70 + 1)
    assert form(-0.0) == form(0) == form(Decimal("-0.00")) == form(Decimal("0E+999999")) == b'{"":0}'
    assert form(1e21) == form(10**21)


def test_numbers_that_are_none() -> None:
    forms = {form(float("nan")), form(float("inf")), form(float("-inf")), form("NaN"), form(None)}
    assert len(forms) == 5
    assert form(float("nan")) == form(Decimal("sNaN"))


@given(INSTANTS, ZONES)
def test_an_instant_is_the_same_in_every_zone(value: dt.datetime, zone: dt.tzinfo) -> None:
    try:
        other = value.astimezone(zone)
        assume(other - value == dt.timedelta())  # not within a gap of the clock
        assert form(value) == form(other)
    except (DataError, OverflowError):
        assume(False)
    assert form(value) != form(value.replace(tzinfo=None))


def test_instants() -> None:
    at = dt.datetime(2026, 3, 8, 9, 30, tzinfo=dt.UTC)
    assert form(at) == b'{"":"2026-03-08T09:30:00Z"}'
    assert form(at.replace(microsecond=5)) == b'{"":"2026-03-08T09:30:00.000005Z"}'
    assert form(at.replace(tzinfo=None)) == b'{"":"2026-03-08T09:30:00"}'
    early = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    with pytest.raises(DataError):
        form(early)


@given(RECORDS)
def test_the_order_of_names_does_not_matter(record: dict[str, Any]) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    try:
        assert canonical(record) == canonical(turned(record))
    except DataError as error:
        assume(any(word in str(error) for word in ("surrogate", "digits", "range", "encode")))


@given(st.lists(st.integers(), min_size=2, unique=True))
def test_the_order_of_a_list_does(items: list[int]) -> None:
    assert form(items) != form(items[::-1])


def test_null_missing_and_empty_differ() -> None:
    values: list[Any] = [None, "", [], {}, 0, False]
    forms = [canonical({}), *(canonical({"a": value}) for value in values)]
    assert len(set(forms)) == len(forms)


def test_tuples_are_lists_and_enums_their_values() -> None:
    class Text(enum.StrEnum):
        RED = "red"

    class Mixed(str, enum.Enum):  # noqa: UP042 - its `str` is not its value
        RED = "red"

    class Number(enum.IntEnum):
        ONE = 1

    assert form((1, (2,))) == form([1, [2]])
    assert form(Text.RED) == form(Mixed.RED) == form("red")
    assert form(Number.ONE) == form(1)
    assert form(True) != form(1)


@pytest.mark.parametrize("record", [{"a": "\ud800"}, {"\udfff": 1}, {"a": [{"b": "x\udc00y"}]}])
def test_unpaired_surrogates(record: dict[str, Any]) -> None:
    with pytest.raises(DataError) as error:
        canonical(record)
    assert error.value.remedy


def _deep(depth: int, make: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize("make", [lambda v: [v], lambda v: {"a": v}, lambda v: [1.5, v]])
def test_too_deep_is_DataError(make: Any) -> None:
    with pytest.raises(DataError):
        form(_deep(100_000, make))


def test_what_has_no_form() -> None:
    for value in (
        object(),
        {1, 2},
        1j,
        lambda: 1,
        bytearray(b"x"),
        dt.timedelta.min,
        Decimal("1E+999999"),
        range(2),
    ):
        if isinstance(value, dt.timedelta):
            form(value)
            continue
        with pytest.raises(DataError):
            form(value)


ANYTHING = st.recursive(
    st.one_of(
        TREES, st.text(st.characters()), st.binary(), st.complex_numbers(), st.just(object()), st.floats()
    ),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(NAMES, st.integers(), st.none()), inner),
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_nothing_else_than_DataError(value: Any) -> None:
    with contextlib.suppress(DataError):
        form(value)


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, PLAIN))
def test_it_is_json_that_gives_the_record_back(record: dict[str, Any]) -> None:
    assert json.loads(canonical(record)) == record
    assert canonical(json.loads(canonical(record))) == canonical(record)


@given(st.timedeltas(), st.timedeltas())
def test_spans_of_time(one: dt.timedelta, other: dt.timedelta) -> None:
    assert (duration(one) == duration(other)) == (one == other)


@given(RECORDS, RECORDS)
def test_a_fingerprint_is_64_bits_of_key_and_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    with contextlib.suppress(DataError):
        first, second = canonical(one), canonical(other)
        print_ = fingerprint(Key(b"k"), first)
        assert -(1 << 63) <= print_ < 1 << 63
        assert (print_ == fingerprint(Key(b"k"), second)) == (first == second)
        assert print_ != fingerprint(Key(b"l"), first)
    assert fingerprint(Key(b"ab"), b"c") != fingerprint(Key(b"a"), b"bc")


def test_number_texts() -> None:
    texts = {"1.50": "1.5", "100": "100", "1E+2": "100", "1E-7": "0.0000001", "-0.10": "-0.1", "12.": "12"}
    for given_, wanted in texts.items():
        assert number(Decimal(given_)).decode() == wanted
    assert msgspec.json.decode(form(1.5)) == {"": 1.5}


class Colour(enum.StrEnum):
    RED = "red"


@given(RECORDS)
def test_plain_records_need_no_second_look(record: dict[str, Any]) -> None:
    """What canonical form found plain, a connector encodes as it is: to the same bytes as with care."""
    with contextlib.suppress(DataError):
        if formed(record).plain:
            assert wire.encode(record, plain=True) == wire.encode(record)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        Decimal("1.50"),
        dt.timedelta(1),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        Colour.RED,
        [{"a": [float("nan")]}],
    ],
)
def test_what_is_not_plain(value: Any) -> None:
    assert not formed({"a": 1, "b": value}).plain
    assert not formed({"a": 1, "b": {"c": [value]}}).plain


def test_exact_is_a_tree_of_the_known_types() -> None:
    assert formed({"a": [Decimal(1), {"b": (dt.time(1), 2.5)}]}).exact
    assert not formed({"a": [Colour.RED]}).exact
