"""guard: may a plan of other automation run? Reads a file, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lockstep.errors import PlanUnreadable
from lockstep.guard.plans.finding import Finding, Verdict, verdict
from lockstep.guard.plans.fleet import read_fleet
from lockstep.guard.plans.healing import judge_fleet
from lockstep.guard.plans.judge import judge_terraform
from lockstep.guard.plans.observer import MOST as MOST_UNREACHABLE
from lockstep.guard.plans.shares import MOST
from lockstep.guard.plans.terraform import read_terraform

Kind = Literal["terraform", "fleet"]


class Judgement(NamedTuple):
    """Whether a plan may run, and why not. `judged`: how many changes, or hosts, were looked at.

    `unused`: approvals of names about which nothing was held.
    """

    kind: Kind
    verdict: Verdict
    judged: int
    findings: list[Finding]
    unused: list[str]


def guard_terraform(path: Path, *, most: float = MOST, approved: Collection[str] = ()) -> Judgement:
    """Judges the output of `terraform show -json`; "-" is standard input. Raises PlanUnreadable."""
    plan = read_terraform(_decoded(path))
    findings = judge_terraform(plan, most=most, approved=approved)
    return _judgement("terraform", len(plan.changes), findings, approved)


def guard_fleet(
    path: Path,
    *,
    most: float = MOST,
    most_unreachable: float = MOST_UNREACHABLE,
    approved: Collection[str] = (),
) -> Judgement:
    """Judges a healer's actions; "-" is standard input. Raises PlanUnreadable."""
    hosts = read_fleet(_decoded(path))
    findings = judge_fleet(hosts, most=most, most_unreachable=most_unreachable, approved=approved)
    return _judgement("fleet", len(hosts), findings, approved)


def _judgement(kind: Kind, judged: int, findings: list[Finding], approved: Collection[str]) -> Judgement:
    met = {finding.address for finding in findings}
    return Judgement(kind, verdict(findings), judged, findings, sorted(set(approved) - met))


def _decoded(path: Path) -> Any:
    """The JSON of a file, in whichever UTF it is written (PowerShell's ">" writes UTF-16)."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise PlanUnreadable(f"{path} cannot be read: {error.strerror}", "Check the path.") from error
    if data.startswith(b"PK"):
        raise PlanUnreadable(
            f"{path} is a plan in Terraform's own form",
            f"Make it JSON: terraform show -json {path} > plan.json",
        )
    try:
        return json.loads(data)
    except RecursionError:
        raise PlanUnreadable(f"{path} is nested too deeply", "") from None
    except ValueError as error:
        lines = (
            "it holds several objects, as `terraform plan -json` prints"
            if "Extra data" in str(error)
            else error
        )
        raise PlanUnreadable(
            f"{path} is no JSON: {lines}",
            "It may have been cut off. A plan of Terraform is made with: terraform show -json PLAN > "
            "plan.json",
        ) from None
