"""All rules, over one plan."""

from __future__ import annotations

from collections.abc import Collection

from lockstep.guard.plans.finding import Finding, settled
from lockstep.guard.plans.networks import Networks
from lockstep.guard.plans.outside import outside_subnets, overlapping_peers, realms
from lockstep.guard.plans.shares import MOST, fleet_share, plan_share
from lockstep.guard.plans.standing import partial, quiet_changes, unknown_actions
from lockstep.guard.plans.stateful import stateful_destroyed, vanished
from lockstep.guard.plans.subnets import overlapping_subnets
from lockstep.guard.plans.terraform import TerraformPlan
from lockstep.guard.plans.traffic import remove_before_replace


def judge_terraform(
    plan: TerraformPlan, *, most: float = MOST, approved: Collection[str] = ()
) -> list[Finding]:
    """What the rules find in a plan, the worst first."""
    things = [
        *plan.planned,
        *plan.prior,
        *(thing for change in plan.changes for thing in (change.after, change.before) if thing is not None),
    ]
    networks = Networks(plan.configuration, things)
    own = realms(plan, networks)
    found = [
        *partial(plan),
        *unknown_actions(plan),
        *overlapping_subnets(plan, networks),
        *outside_subnets(plan, networks, own),
        *overlapping_peers(plan, networks, own),
        *remove_before_replace(plan),
        *stateful_destroyed(plan),
        *vanished(plan),
        *fleet_share(plan, most),
        *plan_share(plan),
        *quiet_changes(plan),
    ]
    return settled(found, approved)
