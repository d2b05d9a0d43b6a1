"""What a rule says of a plan, and what all of it comes to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Severity = Literal["refuse", "hold", "note"]
Verdict = Literal["refused", "held", "allowed"]

_RANK = {"refuse": 0, "hold": 1, "note": 2}


class Finding(Struct, frozen=True):
    """One thing that a rule found.

    `severity`: refuse (it would fail, or fail half-way), hold (a person must approve it by name), note.
    `address`: the resource or host, or "" for the plan as a whole.
    """

    rule: str
    severity: Severity
    address: str
    sentence: str
    mend: str = ""


def verdict(findings: Iterable[Finding]) -> Verdict:
    """The worst of it: one refusal refuses, else one hold holds."""
    found = {finding.severity for finding in findings}
    return "refused" if "refuse" in found else "held" if "hold" in found else "allowed"


def settled(findings: Iterable[Finding], approved: Collection[str]) -> list[Finding]:
    """The worst first. Holds of addresses that a person approved by name are notes; refusals stay."""
    return sorted(
        (
            replace(one, severity="note", sentence=f"Approved by name: {one.sentence}", mend="")
            if one.severity == "hold" and one.address in approved
            else one
            for one in findings
        ),
        key=lambda one: (_RANK[one.severity], one.rule, one.address),
    )
