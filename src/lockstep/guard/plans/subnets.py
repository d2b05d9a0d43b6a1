"""Subnets that overlap, or lie outside their network.

The provider would refuse them half-way through an apply.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lockstep.guard.plans.fields import UNKNOWN, field_of, leaves, whole, without_parts
from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.kinds import ADDRESSED
from lockstep.guard.plans.networks import Networks, Place
from lockstep.guard.plans.ranges import Network, Ranges, parse
from lockstep.guard.plans.terraform import Change, TerraformPlan, Thing, marked


class Taken(NamedTuple):
    """A range that a subnet has or will have."""

    network: Network
    place: Place
    thing: Thing
    field: str

    def shown(self) -> str:
        return "(sensitive)" if marked(self.thing.hidden, self.field) else str(self.network)


def overlapping_subnets(plan: TerraformPlan, networks: Networks) -> Iterator[Finding]:
    """Every new range that overlaps one of the same network; what cannot be known is said."""
    going = {change.address: change for change in plan.changes if _new(change)}
    separate = _separate(plan)
    staying: defaultdict[Place, Ranges[Taken]] = defaultdict(Ranges)
    leaving: defaultdict[Place, Ranges[tuple[Change, Taken]]] = defaultdict(Ranges)
    for thing in _kept(plan):
        for one in _taken(thing, networks, separate):
            staying[one.place].add(one.network, one)
    for change in plan.changes:
        if change.removes and change.before is not None and change.type in ADDRESSED and _current(change):
            for one in _taken(change.before, networks, separate):
                leaving[one.place].add(one.network, (change, one))
    for change in going.values():
        assert change.after is not None
        yield from _unknown(change.after, networks)
        before = (
            set()
            if change.before is None
            else {(one.place, one.network) for one in _taken(change.before, networks, separate)}
        )
        for one in _taken(change.after, networks, separate):
            clash = next(staying[one.place].overlapping(one.network), None)
            staying[one.place].add(one.network, one)
            if "create" not in change.actions and (one.place, one.network) in before:
                continue
            if clash is not None:
                yield _refused(one, clash)
                continue
            yield from _beside(change, one, leaving[one.place].overlapping(one.network))


def _new(change: Change) -> bool:
    return (
        _current(change)
        and change.after is not None
        and change.type in ADDRESSED
        and bool({"create", "update"} & set(change.actions))
    )


def _current(change: Change) -> bool:
    return not change.deposed


def _kept(plan: TerraformPlan) -> Iterator[Thing]:
    """The subnets that are there and stay.

    Of the state, read as data, or let go by Terraform but not deleted.
    """
    changed = {change.address for change in plan.changes if change.actions not in {("no-op",), ("read",)}}
    seen: set[str] = set()
    for thing in (*plan.planned, *plan.prior):
        if thing.type in ADDRESSED and thing.address not in changed and thing.address not in seen:
            if thing.mode == "data" and _same_as_managed(thing, plan):
                continue
            seen.add(thing.address)
            yield thing
    for change in plan.changes:
        if change.before is None or change.type not in ADDRESSED or change.address in seen:
            continue
        if "forget" in change.actions or change.actions == ("no-op",):
            yield change.before


def _same_as_managed(data: Thing, plan: TerraformPlan) -> bool:
    """A subnet that is read as data may be one that this plan manages too: it does not overlap itself."""
    identity = data.values.get("id")
    return identity is not None and any(
        change.before is not None and change.before.values.get("id") == identity for change in plan.changes
    )


def ranges_of(thing: Thing, fields: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The ranges in these fields, with the field each stands in. Texts that are no range come as None."""
    for path in fields:
        for leaf in leaves(thing, path):
            if leaf is not UNKNOWN:
                yield field_of(path), parse(leaf)


def _taken(thing: Thing, networks: Networks, separate: frozenset[str]) -> Iterator[Taken]:
    kind = ADDRESSED[thing.type]
    place = networks.of(thing, kind.network, kind.naming)
    if place is None:
        return
    for field, network in ranges_of(without_parts(thing, kind.ranges, separate), kind.ranges):
        if network is not None:
            yield Taken(network, place, thing, field)


def _separate(plan: TerraformPlan) -> frozenset[str]:
    """Ids of subnets that are resources of their own: a network of Azure lists these too."""
    there = (*plan.planned, *plan.prior, *(change.before for change in plan.changes if change.before))
    return frozenset(
        thing.values["id"].casefold()
        for thing in there
        if thing.type in ADDRESSED and thing.mode == "managed" and isinstance(thing.values.get("id"), str)
    )


def _unknown(thing: Thing, networks: Networks) -> Iterator[Finding]:
    kind = ADDRESSED[thing.type]
    fields = {field_of(path) for path in kind.ranges if UNKNOWN in leaves(thing, path)}
    filled = {name for name in kind.filled if whole(thing.unknown, name)}
    if networks.of(thing, kind.network, kind.naming) is None:
        yield Finding(
            "subnet-overlap",
            "note",
            thing.address,
            f"Which network {thing.address} is in is known only at apply: its ranges were not compared.",
        )
    for field in sorted(fields - filled):
        yield Finding(
            "subnet-overlap",
            "note",
            thing.address,
            f"{field} of {thing.address} is known only at apply: it was not compared with other ranges.",
        )
    for field, network in ranges_of(thing, kind.ranges):
        if network is None:
            yield Finding(
                "subnet-range",
                "refuse",
                thing.address,
                f"{field} of {thing.address} is no range of addresses.",
                "Write it as address/length, such as 10.0.1.0/24.",
            )


def _refused(one: Taken, other: Taken) -> Finding:
    own = one.thing.address == other.thing.address
    who = "another range of itself" if own else f"{other.thing.address} ({other.shown()})"
    return Finding(
        "subnet-overlap",
        "refuse",
        one.thing.address,
        f"{one.thing.address} ({one.shown()}) overlaps {who} in the same network: the provider will "
        "refuse it, "
        "and the apply stops half-way.",
        "Give it a range that is free in this network.",
    )


def _beside(change: Change, one: Taken, others: Iterable[tuple[Change, Taken]]) -> Iterator[Finding]:
    """Against ranges that this plan frees: whether they are free in time."""
    for leaving, other in others:
        own = leaving.address == change.address
        if own and change.removes_first:
            continue
        if own:
            yield Finding(
                "subnet-overlap",
                "refuse",
                change.address,
                f"{change.address} is created ({one.shown()}) before its old one ({other.shown()}) "
                "is deleted, in the "
                "same network: the provider will refuse it.",
                "Give the new one another range, or leave create_before_destroy off for this subnet.",
            )
        else:
            yield Finding(
                "subnet-overlap",
                "hold",
                change.address,
                f"{change.address} ({one.shown()}) takes a range that {leaving.address} "
                f"({other.shown()}) still has "
                "until this plan deletes it, and nothing says that this comes first.",
                f"If it is the same subnet, add a moved block from {leaving.address}; else apply the "
                "deletion first.",
            )
        return
