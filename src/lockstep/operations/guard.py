"""guard: may a plan of other automation run? Reads a file, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lockstep.errors import DeclarationError, PlanUnreadable
from lockstep.guard.plans.finding import Finding, Verdict, verdict
from lockstep.guard.plans.fleet import read_fleet
from lockstep.guard.plans.healing import judge_fleet
from lockstep.guard.plans.judge import judge_terraform
from lockstep.guard.plans.observer import MOST as MOST_UNREACHABLE
from lockstep.guard.plans.shares import MOST
from lockstep.guard.plans.terraform import read_terraform

Kind = Literal["terraform", "fleet"]


Given = Path | str | dict[str, Any]
"""A file's path ("-" is standard input), or what its JSON says."""


class Judgement(NamedTuple):
    """Whether a plan may run, and why not.

    `judged`: how many changes, or hosts, were looked at. `findings`: the worst first. `unused`: approvals of
    names about which nothing was held.
    """

    kind: Kind
    verdict: Verdict
    judged: int
    findings: list[Finding]
    unused: list[str]

    @property
    def allowed(self) -> bool:
        """Whether it may run: nothing is refused, and nothing held that nobody approved."""
        return self.verdict == "allowed"


def guard_terraform(plan: Given, *, most: float = MOST, approved: Collection[str] = ()) -> Judgement:
    """Judges a plan as `terraform show -json` prints it, without any network.

    `most`: the share of a fleet that may go at once, from 0 to 1. `approved`: addresses whose holds a person
    lets pass; a refusal stays. Raises PlanUnreadable, and DeclarationError for a share out of range.
    """
    _share("most", most)
    read = read_terraform(_decoded(plan, "A plan is made with: terraform show -json PLAN > plan.json"))
    findings = judge_terraform(read, most=most, approved=_names(approved))
    return _judgement("terraform", len(read.changes), findings, _names(approved))


def guard_fleet(
    actions: Given,
    *,
    most: float = MOST,
    most_unreachable: float = MOST_UNREACHABLE,
    approved: Collection[str] = (),
) -> Judgement:
    """Judges what a healer is about to do to its hosts (the format is in docs/guard-plans.md).

    `most`, `approved`: as of `guard_terraform`. `most_unreachable`: with a larger share of the fleet
    unreachable, the observer is suspected. Raises PlanUnreadable, and DeclarationError for a share out of
    range.
    """
    _share("most", most)
    _share("most_unreachable", most_unreachable)
    hosts = read_fleet(_decoded(actions, "What is read is a healer's list of hosts: see docs/guard-plans.md"))
    names = _names(approved)
    findings = judge_fleet(hosts, most=most, most_unreachable=most_unreachable, approved=names)
    return _judgement("fleet", len(hosts), findings, names)


def _share(name: str, given: float) -> None:
    """30 for 30 % would hold nothing at all."""
    if not 0 <= given <= 1:
        raise DeclarationError(f"{name} is {given}, and must be a share from 0 to 1", "For 30 % write 0.3.")


def _names(approved: Collection[str]) -> Collection[str]:
    """One name is a name, not the collection of its letters."""
    return (approved,) if isinstance(approved, str) else approved


def _judgement(kind: Kind, judged: int, findings: list[Finding], approved: Collection[str]) -> Judgement:
    met = {finding.address for finding in findings}
    return Judgement(kind, verdict(findings), judged, findings, sorted(set(approved) - met))


def _decoded(given: Given, how: str) -> Any:
    """The JSON of a file, in whichever UTF (PowerShell's ">" writes UTF-16). `how`: what to make it with."""
    if not isinstance(given, Path | str):
        return given
    path = Path(given)
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise PlanUnreadable(f"{path} cannot be read: {error.strerror}", "Check the path.") from error
    if data.startswith(b"PK"):
        raise PlanUnreadable(
            f"{path} is no JSON: it is packed, as a plan in Terraform's own form is",
            how.replace("PLAN", str(path)),
        )
    try:
        return json.loads(data)
    except RecursionError:
        raise PlanUnreadable(f"{path} is nested too deeply", "No plan is: see what made it.") from None
    except ValueError as error:
        lines = (
            "it holds several objects, as `terraform plan -json` prints"
            if "Extra data" in str(error)
            else error
        )
        raise PlanUnreadable(
            f"{path} is no JSON: {lines}",
            f"It may have been cut off. {how}",
        ) from None
