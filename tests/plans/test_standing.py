"""What a plan says of itself: that it is not whole, speaks unknown words, or was overtaken."""

from __future__ import annotations

import pytest

from tests.plans.written import CREATE, DELETE, NOTHING, UPDATE, change, judged, plan, said

ROLE = {"name": "reader"}


def test_a_plan_that_failed_is_refused() -> None:
    assert said(plan(errored=True)) == [("errored", "refuse", "(plan)")]
    assert said(plan(errored=True), approved=["(plan)"]) == [("errored", "refuse", "(plan)")]
    assert said(plan(errored=False, complete=True, applyable=True)) == []


def test_what_is_deferred_is_said_by_name() -> None:
    later = [
        {
            "reason": "resource_config_unknown",
            "resource_change": change(f"aws_iam_role.r{at}", CREATE, None, {}),
        }
        for at in range(4)
    ]
    (found,) = judged(plan(complete=False, deferred_changes=later))
    assert (found.rule, found.severity, found.address) == ("deferred", "note", "(plan)")
    assert "4 changes are deferred" in found.sentence
    assert "aws_iam_role.r0, aws_iam_role.r1, aws_iam_role.r2 …" in found.sentence


def test_a_plan_that_is_not_complete_says_so() -> None:
    (found,) = judged(plan(complete=False))
    assert (found.rule, found.severity) == ("deferred", "note")
    assert "another one will follow" in found.sentence


@pytest.mark.parametrize("actions", [("evict",), ("update", "evict")])
def test_an_action_that_nobody_knows_is_held(actions: tuple[str, ...]) -> None:
    given = plan(change("aws_iam_role.r", actions, ROLE))
    (found,) = judged(given)
    assert (found.rule, found.severity, found.address) == ("unknown-action", "hold", "aws_iam_role.r")
    assert "does evict to" in found.sentence
    assert said(given, approved=["aws_iam_role.r"]) == [("unknown-action", "note", "aws_iam_role.r")]


def test_drift_is_said_by_name() -> None:
    drift = [change(f"aws_iam_role.r{at}", UPDATE, ROLE, {"path": "/"}) for at in range(4)]
    (found,) = judged(plan(resource_drift=drift))
    assert (found.rule, found.severity, found.address) == ("drift", "note", "(plan)")
    assert "4 resources were changed outside" in found.sentence
    assert "aws_iam_role.r2 …" in found.sentence
    (found,) = judged(plan(resource_drift=drift[:3]))
    assert found.sentence.endswith("aws_iam_role.r2.")


def test_what_is_forgotten_is_said_and_what_stays_is_not() -> None:
    given = plan(
        change("aws_iam_role.gone", ("forget",), ROLE),
        change("aws_iam_role.stays", NOTHING, ROLE),
        change("aws_iam_role.made", CREATE, None, ROLE),
        change("data.aws_iam_role.read", ("read",), None, ROLE),
    )
    assert said(given) == [("forgotten", "note", "aws_iam_role.gone")]


@pytest.mark.parametrize("actions", [("create", "forget")])
def test_one_that_is_replaced_by_forgetting_the_old_is_known(actions: tuple[str, ...]) -> None:
    given = plan(change("aws_db_instance.d", actions, {"id": "db-1"}))
    assert said(given) == [("forgotten", "note", "aws_db_instance.d")]


def test_a_quiet_plan_says_nothing() -> None:
    assert said(plan(change("aws_db_instance.d", NOTHING, {"id": "db-1"}))) == []
    assert said(plan(change("aws_db_instance.d", DELETE, {"id": "db-1"}, deposed="ab12cd34"))) == [
        ("stateful", "hold", "aws_db_instance.d")
    ]
