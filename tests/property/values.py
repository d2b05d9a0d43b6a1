"""Strategies for every value that a key or a record may hold."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

ZONES = st.one_of(st.just(dt.UTC), st.timezones(), st.integers(-1439, 1439).map(lambda m: _offset(m)))

INTS = st.one_of(
    st.integers(),
    st.integers(-300, 300),
    st.integers(0, 600).flatmap(lambda bits: st.sampled_from([1 << bits, -(1 << bits), (1 << bits) - 1])),
    st.integers(0, 70_000).map(lambda bits: 1 << bits),
)
DECIMALS = st.one_of(
    st.decimals(allow_nan=False),
    st.decimals(-1000, 1000, places=3),
    st.builds(lambda n, e: Decimal(n).scaleb(e), st.integers(-(10**30), 10**30), st.integers(-6000, 6000)),
)
FLOATS = st.floats(allow_nan=False)
NUMBERS = st.one_of(INTS, DECIMALS, FLOATS, FLOATS.map(lambda f: Decimal(repr(f))))
NANS = st.sampled_from([float("nan"), Decimal("NaN"), Decimal("-NaN"), Decimal("sNaN")])
TEXTS = st.one_of(st.text(), st.text(st.sampled_from("a\0\x01\xff|\\雪\U0001f600")))
BYTES = st.one_of(st.binary(), st.lists(st.sampled_from([0, 1, 255])).map(bytes))
INSTANTS = st.datetimes(timezones=ZONES)
LOCALS = st.datetimes()
TIMES = st.times()
KINDS: list[st.SearchStrategy[Any]] = [
    NUMBERS,
    TEXTS,
    BYTES,
    st.uuids(),
    st.dates(),
    INSTANTS,
    LOCALS,
    TIMES,
    st.booleans(),
]
VALUES: st.SearchStrategy[Any] = st.one_of(*KINDS, NANS)


def _offset(minutes: int) -> dt.timezone:
    return dt.timezone(dt.timedelta(minutes=minutes))


NAMES = st.text(max_size=5)
LEAVES = st.one_of(st.none(), VALUES, st.timedeltas())
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
RECORDS = st.dictionaries(NAMES, TREES, max_size=5)
