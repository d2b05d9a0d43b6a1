"""Which ranges overlap: against comparing each with each, by the ipaddress module."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.guard.plans.ranges import Network, Ranges, parse, within


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Ranges close together, so that they overlap often, of both versions; the edges of the space too."""
    if draw(st.booleans()):
        start = draw(st.sampled_from([0, 10 << 24, 2**32 - 256])) + draw(st.integers(0, 255))
        return ipaddress.IPv4Network((start, draw(st.integers(20, 32) | st.just(0))), strict=False)
    start = draw(st.sampled_from([0, 0xFD << 120, 2**128 - 256])) + draw(st.integers(0, 255))
    return ipaddress.IPv6Network((start, draw(st.integers(116, 128) | st.just(0))), strict=False)


@given(st.lists(networks(), max_size=12), networks())
def test_overlapping_is_what_comparing_each_finds(there: list[Network], asked: Network) -> None:
    ranges: Ranges[int] = Ranges()
    for number, network in enumerate(there):
        ranges.add(network, number)
    expected = {
        number
        for number, network in enumerate(there)
        if network.version == asked.version and network.overlaps(asked)
    }
    found = list(ranges.overlapping(asked))
    assert set(found) == expected
    assert len(found) == len(expected)


@given(networks(), networks())
def test_within_is_what_comparing_ends_finds(inner: Network, outer: Network) -> None:
    expected = inner.version == outer.version and (
        int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
    )
    assert within(inner, outer) == expected


@pytest.mark.parametrize("text", [None, "", "10.0.0.0/33", "10.0.0/24", 10, True, [], "::/129", "x"])
def test_what_is_no_range(text: object) -> None:
    assert parse(text) is None


def test_bits_of_a_host_are_cut_off() -> None:
    assert str(parse(" 10.0.0.7/24")) == "10.0.0.0/24"
