"""How much of a fleet, or of everything, goes at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.kinds import HOSTS, STATEFUL
from lockstep.guard.plans.terraform import TerraformPlan, without_index

MOST = 0.3
"""The share of a fleet that may go at once, if nobody says otherwise."""
WHOLE = 0.5
"""The share of all resources."""
FEW = 10
"""So few resources are no share of everything worth a hold."""


def too_much(going: int, there: int, most: float) -> bool:
    """Whether more than one goes, and more than this share."""
    return going > 1 and there > 0 and going / there > most


def fleet_share(plan: TerraformPlan, most: float = MOST) -> Iterator[Finding]:
    """Per block with count or for_each, of hosts and of what holds data: the share that goes."""
    there: Counter[str] = Counter()
    going: Counter[str] = Counter()
    seen = set()
    for change in plan.changes:
        if change.before is None or change.deposed or change.thing.mode != "managed":
            continue
        seen.add(change.address)
        if change.type in HOSTS or change.type in STATEFUL:
            block = without_index(change.address)
            there[block] += 1
            going[block] += change.removes
    for thing in plan.prior:
        if (
            thing.address not in seen
            and thing.mode == "managed"
            and (thing.type in HOSTS or thing.type in STATEFUL)
        ):
            there[without_index(thing.address)] += 1
    for block, count in going.items():
        if too_much(count, there[block], most):
            yield Finding(
                "fleet-share",
                "hold",
                block,
                f"{count} of the {there[block]} of {block} are destroyed or replaced at once "
                f"({count / there[block]:.0%}; "
                f"at most {most:.0%} may be).",
                "Replace a few at a time: apply with -target, or change for_each step by step, and "
                "wait until each is "
                f"healthy. If it is meant, approve it by name: --approve '{block}'.",
            )


def plan_share(plan: TerraformPlan, most: float = WHOLE) -> Iterator[Finding]:
    """Whether most of everything goes."""
    real = [
        change
        for change in plan.changes
        if change.before is not None and change.thing.mode == "managed" and not change.deposed
    ]
    there = len(
        {change.address for change in real} | {one.address for one in plan.prior if one.mode == "managed"}
    )
    going = sum(change.removes for change in real)
    if there >= FEW and too_much(going, there, most):
        yield Finding(
            "plan-share",
            "hold",
            "(plan)",
            f"{going} of {there} resources are destroyed or replaced ({going / there:.0%}): this is most of "
            "everything. Is it the right workspace, backend and variables file?",
            "If it is meant, approve it by name: --approve '(plan)'.",
        )
