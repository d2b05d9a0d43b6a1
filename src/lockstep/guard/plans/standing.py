"""What a plan says of itself.

That it is partial, changed underneath, or speaks words that nobody here knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.terraform import KNOWN_ACTIONS, TerraformPlan


def partial(plan: TerraformPlan) -> Iterator[Finding]:
    """A plan that failed, or leaves changes for later."""
    if plan.errored:
        yield Finding(
            "errored",
            "refuse",
            "(plan)",
            "Terraform failed while it made this plan, so it is not whole.",
            "Mend what terraform plan says, and plan again.",
        )
    if plan.deferred:
        names = ", ".join(plan.deferred[:3]) + (" …" if len(plan.deferred) > 3 else "")
        yield Finding(
            "deferred",
            "note",
            "(plan)",
            f"{len(plan.deferred)} changes are deferred to a later plan and were not judged: {names}.",
        )
    elif not plan.complete:
        yield Finding("deferred", "note", "(plan)", "This plan is not complete: another one will follow.")


def unknown_actions(plan: TerraformPlan) -> Iterator[Finding]:
    """Actions that this version does not know are not allowed by guessing."""
    for change in plan.changes:
        strange = sorted(set(change.actions) - KNOWN_ACTIONS)
        if strange:
            yield Finding(
                "unknown-action",
                "hold",
                change.address,
                f"The plan does {', '.join(strange)!s} to {change.address}, which this Lockstep does "
                "not know.",
                "Upgrade Lockstep, or look at it by hand and approve it by name.",
            )


def quiet_changes(plan: TerraformPlan) -> Iterator[Finding]:
    """Drift, and resources that Terraform lets go."""
    if plan.drift:
        names = ", ".join(change.address for change in plan.drift[:3]) + (" …" if len(plan.drift) > 3 else "")
        yield Finding(
            "drift",
            "note",
            "(plan)",
            f"{len(plan.drift)} resources were changed outside of Terraform since the last apply: {names}.",
        )
    for change in plan.changes:
        if "forget" in change.actions:
            yield Finding(
                "forgotten",
                "note",
                change.address,
                f"{change.address} stays as it is, and Terraform manages it no more.",
            )
