"""Subnets outside of their network's own ranges, and networks that are peered although their
ranges overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lockstep.guard.plans.fields import field_of
from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.kinds import ADDRESSED, PEERINGS, REALMS
from lockstep.guard.plans.networks import Networks, Place
from lockstep.guard.plans.ranges import Network, within
from lockstep.guard.plans.subnets import ranges_of
from lockstep.guard.plans.terraform import Change, TerraformPlan, Thing, marked


class Own(NamedTuple):
    """A range that a network has. `hidden`: Terraform marks it as sensitive."""

    network: Network
    hidden: bool

    def __str__(self) -> str:
        return "(sensitive)" if self.hidden else str(self.network)


class Realms(NamedTuple):
    """Networks' own ranges. `open`: those of which this plan cannot know all ranges."""

    ranges: dict[Place, list[Own]]
    open: set[Place]


def realms(plan: TerraformPlan, networks: Networks) -> Realms:
    """What there will be, by the network's id and by the address of the resource that makes it."""
    ranges: defaultdict[Place, list[Own]] = defaultdict(list)
    unsure: set[Place] = set()
    made = {change.address for change in plan.changes if change.actions == ("create",)}
    for thing in _living(plan):
        kind = REALMS[thing.type]
        places = {networks.of(thing, kind.identity, kind.naming), ("at", thing.address)} - {None}
        known = [
            Own(network, marked(thing.hidden, field))
            for field, network in ranges_of(thing, kind.ranges)
            if network is not None
        ]
        unknown = any(marked(thing.unknown, field_of(path)) for path in kind.ranges)
        sure = kind.whole or thing.address in made or bool(thing.values.get("cidr_block_associations"))
        for place in places:
            assert place is not None
            ranges[place] += known
            if unknown or not sure:
                unsure.add(place)
    return Realms(dict(ranges), unsure)


def _living(plan: TerraformPlan) -> Iterable[Thing]:
    found = {thing.address: thing for thing in (*plan.planned, *plan.prior)}
    for change in plan.changes:
        if change.after is not None:
            found[change.address] = change.after
        elif change.removes and not change.deposed:
            found.pop(change.address, None)
    return [thing for thing in found.values() if thing.type in REALMS]


def outside_subnets(plan: TerraformPlan, networks: Networks, own: Realms) -> Iterator[Finding]:
    """New subnets that lie in none of their network's ranges of the same version."""
    for change in plan.changes:
        if not _made(change) or change.after is None or change.type not in ADDRESSED:
            continue
        kind = ADDRESSED[change.type]
        place = networks.of(change.after, kind.network, kind.naming)
        if place is None:
            continue
        for field, network in ranges_of(change.after, kind.ranges):
            if network is None:
                continue
            there = [one for one in own.ranges.get(place, ()) if one.network.version == network.version]
            if not there or any(within(network, one.network) for one in there):
                continue
            new = Own(network, marked(change.after.hidden, field))
            said = f" ({new} is not in {', '.join(map(str, there[:3]))})"
            unsure = place in own.open
            yield Finding(
                "subnet-outside",
                "hold" if unsure else "refuse",
                change.address,
                f"{change.address} lies outside of its network's ranges{said}: the provider will refuse it"
                + (", unless the network has more ranges than this plan can see." if unsure else "."),
                "Give it a range of the network, or add the range to the network first.",
            )


def overlapping_peers(plan: TerraformPlan, networks: Networks, own: Realms) -> Iterator[Finding]:
    """New peerings of networks whose ranges overlap."""
    for change in plan.changes:
        peering = PEERINGS.get(change.type)
        if peering is None or not _made(change) or change.after is None or "create" not in change.actions:
            continue
        sides = [networks.of(change.after, (name,)) for name in (peering.one, peering.other)]
        one, other = (own.ranges.get(side, []) if side else [] for side in sides)
        clash = next(((a, b) for a in one for b in other if a.network.overlaps(b.network)), None)
        if clash is not None and sides[0] != sides[1]:
            yield Finding(
                "peers-overlap",
                "refuse",
                change.address,
                f"{change.address} joins two networks whose ranges overlap ({clash[0]} and "
                f"{clash[1]}): the provider "
                "will refuse it.",
                "Give one of them other ranges, or join only what does not overlap (a private link, "
                "a proxy).",
            )


def _made(change: Change) -> bool:
    return (
        change.thing.mode == "managed"
        and not change.deposed
        and bool({"create", "update"} & {*change.actions})
    )
