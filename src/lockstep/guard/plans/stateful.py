"""What holds data, destroyed or replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.kinds import HOSTS, STATEFUL
from lockstep.guard.plans.reasons import why
from lockstep.guard.plans.terraform import Change, TerraformPlan, Thing

_LOCAL_DISKS = re.compile(r"^(i\d\w*|im\d\w*|is\d\w*|[dh][123]\w*|x1e?|z1d|hs1|[a-z]+\d[a-z-]*d[a-z-]*)\.")
"""AWS: families with disks of their own: i4i, d3en, and those with a d after the number, such as m6gd."""


def stateful_destroyed(plan: TerraformPlan) -> Iterator[Finding]:
    """Destruction of databases, volumes, buckets, search clusters, and hosts whose disks go with them."""
    for change in plan.changes:
        if not change.removes or change.before is None or change.thing.mode != "managed":
            continue
        kind = STATEFUL.get(change.type)
        if kind is not None:
            unsaved = kind.unsaved and change.before.values.get(kind.unsaved) is True
            loss = f"{kind.loss}{' ' + kind.unsaved_words if unsaved else ''}"
            yield _held(change, loss)
        elif change.type in HOSTS and ephemeral(change.before):
            yield _held(change, "a host and its own disks: what is on ephemeral storage is lost for good")


def _held(change: Change, loss: str) -> Finding:
    verb = "replaces" if change.replaces else "destroys"
    old = " (an earlier object of it, left over)" if change.deposed else ""
    new = " The new one starts empty." if change.replaces else ""
    return Finding(
        "stateful",
        "hold",
        change.address,
        f"The plan {verb} {change.address}{old}{why(change)}: {loss}.{new}",
        "Take a snapshot and try to restore it, or keep the resource (prevent_destroy, a moved "
        "block, removed with "
        f"destroy = false). If it is meant, approve it by name: --approve '{change.address}'.",
    )


def ephemeral(thing: Thing) -> bool:
    """Whether a host has disks that go with it."""
    machine, disks = HOSTS[thing.type]
    return bool(disks and thing.values.get(disks)) or (
        thing.type.startswith("aws_") and bool(_LOCAL_DISKS.match(str(thing.values.get(machine))))
    )


def vanished(plan: TerraformPlan) -> Iterator[Finding]:
    """What holds data and was deleted outside of Terraform, which this plan would make anew, empty."""
    gone = {
        change.address for change in plan.drift if change.actions == ("delete",) and change.type in STATEFUL
    }
    for change in plan.changes:
        if change.address in gone and "create" in change.actions:
            yield Finding(
                "vanished",
                "hold",
                change.address,
                f"{change.address} was deleted outside of Terraform, or is not seen from here; the "
                "plan makes it anew, "
                "empty.",
                "Find out first what happened. If its data is gone, restore it from a snapshot "
                "instead of letting an "
                "empty one take its place.",
            )
