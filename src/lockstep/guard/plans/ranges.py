"""Ranges of addresses: which of many overlap one, without comparing it with each.

Two CIDR ranges overlap only if one holds the other. So those that hold a range are found by masking it
with every
prefix length there is, those within it by searching the sorted starts.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from typing import Generic, TypeVar

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Item = TypeVar("Item")


def parse(text: object) -> Network | None:
    """A range, or None where the text is none. Bits of a host are cut off, as clouds do."""
    if not isinstance(text, str):
        return None
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def within(inner: Network, outer: Network) -> bool:
    """Whether one range lies wholly in another; never so between IPv4 and IPv6."""
    return (
        inner.version == outer.version
        and outer.prefixlen <= inner.prefixlen
        and inner.network_address in outer
    )


class Ranges(Generic[Item]):
    """Things by the ranges that they have."""

    def __init__(self) -> None:
        self._items: defaultdict[tuple[int, int, int], list[Item]] = defaultdict(list)
        self._lengths: defaultdict[int, set[int]] = defaultdict(set)
        self._starts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def add(self, network: Network, item: Item) -> None:
        start = int(network.network_address)
        place = (network.version, network.prefixlen, start)
        if place not in self._items:
            self._lengths[network.version].add(network.prefixlen)
            insort(self._starts[network.version], (start, network.prefixlen))
        self._items[place].append(item)

    def overlapping(self, network: Network) -> Iterator[Item]:
        """Whatever shares an address with it: the smallest that hold it first, then those within it."""
        start, length, version = int(network.network_address), network.prefixlen, network.version
        for prefix in sorted(self._lengths[version], reverse=True):
            if prefix <= length:
                shift = network.max_prefixlen - prefix
                yield from self._items.get((version, prefix, start >> shift << shift), ())
        starts = self._starts[version]
        for at in range(bisect_left(starts, (start, 0)), len(starts)):
            first, prefix = starts[at]
            if first > int(network.broadcast_address):
                return
            if prefix > length:
                yield from self._items[version, prefix, first]
