"""The same judgement as a function, for pipelines that are Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lockstep as ls
from tests.plans.test_fleet import host, lost
from tests.plans.written import CREATE, DELETE, change, plan

HELD = plan(change("aws_db_instance.x", DELETE, {"id": "1"}))


def test_a_plan_from_a_file_or_decoded(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(HELD))
    judged = ls.guard_terraform(HELD)
    assert judged == ls.guard_terraform(path) == ls.guard_terraform(str(path))
    assert (judged.kind, judged.verdict, judged.allowed, judged.judged) == ("terraform", "held", False, 1)
    assert [(one.rule, one.address) for one in judged.findings] == [("stateful", "aws_db_instance.x")]


def test_what_is_approved_is_let_pass_and_what_met_nothing_is_said() -> None:
    judged = ls.guard_terraform(HELD, approved=["aws_db_instance.x", "typo"])
    assert (judged.allowed, judged.unused) == (True, ["typo"])
    judged = ls.guard_terraform(HELD, approved="aws_db_instance.x")
    assert (judged.allowed, judged.unused) == (True, [])
    judged = ls.guard_terraform(HELD, approved="aws_db_instance.x2")  # one name, not any part of it
    assert (judged.allowed, judged.unused) == (False, ["aws_db_instance.x2"])
    taken = {"vpc_id": "v", "cidr_block": "10.0.0.0/24"}
    refused = plan(*(change(f"aws_subnet.{at}", CREATE, None, taken) for at in "ab"))
    judged = ls.guard_terraform(refused, approved=["aws_subnet.b"])
    assert (judged.verdict, judged.allowed) == ("refused", False)


def test_a_healer() -> None:
    actions = {"version": 1, "hosts": [lost("a"), lost("b"), host("c")]}
    assert {one.rule for one in ls.guard_fleet(actions).findings} == {"observer", "fleet-share"}
    assert ls.guard_fleet(actions, most=1, most_unreachable=0.7).allowed
    assert ls.guard_fleet({"version": 1, "hosts": []}).allowed


@pytest.mark.parametrize("share", [30, -0.1, 1.01, float("nan")])
def test_a_share_is_no_percentage(share: float) -> None:
    with pytest.raises(ls.DeclarationError, match="must be a share from 0 to 1"):
        ls.guard_terraform(HELD, most=share)
    with pytest.raises(ls.DeclarationError, match="must be a share from 0 to 1"):
        ls.guard_fleet({"version": 1, "hosts": []}, most_unreachable=share)


def test_what_is_no_plan_is_an_error_and_never_allowed(tmp_path: Path) -> None:
    wrong: list[dict[str, object] | Path] = [{}, tmp_path / "missing.json"]
    for given in wrong:
        with pytest.raises(ls.PlanUnreadable):
            ls.guard_terraform(given)
        with pytest.raises(ls.PlanUnreadable):
            ls.guard_fleet(given)
