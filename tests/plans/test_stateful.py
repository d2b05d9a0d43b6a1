"""Data that would go, and too much at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plans.written import (
    BESIDE,
    CREATE,
    DELETE,
    NOTHING,
    REPLACE,
    UPDATE,
    change,
    judged,
    plan,
    resource,
    said,
)


@pytest.mark.parametrize(
    "type_",
    [
        "aws_db_instance", "aws_ebs_volume", "aws_s3_bucket", "aws_opensearch_domain", "aws_dynamodb_table",
        "google_sql_database_instance", "google_compute_disk", "google_storage_bucket",
        "azurerm_postgresql_flexible_server", "azurerm_managed_disk", "azurerm_search_service",
    ],
)  # fmt: skip
def test_what_holds_data_is_not_destroyed_unseen(type_: str) -> None:
    for actions in (DELETE, REPLACE, BESIDE):
        assert said(plan(change(f"{type_}.x", actions, {"id": "1"}))) == [("stateful", "hold", f"{type_}.x")]
    for actions in (CREATE, UPDATE, NOTHING, ("forget",)):
        assert all(
            severity == "note" for _, severity, _ in said(plan(change(f"{type_}.x", actions, {"id": "1"})))
        )


def test_the_sentence_says_why_and_what_is_lost() -> None:
    reason: dict[str, Any] = {
        "action_reason": "replace_because_cannot_update",
        "replace_paths": [["engine"], ["kms_key_id"]],
    }
    (found,) = judged(plan(change("aws_db_instance.x", REPLACE, {"skip_final_snapshot": True}, **reason)))
    assert "engine, kms_key_id cannot be changed in place" in found.sentence
    assert "without a last snapshot" in found.sentence
    assert "starts empty" in found.sentence
    assert "--approve 'aws_db_instance.x'" in found.mend


@pytest.mark.parametrize(
    ("machine", "lost"),
    [
        ("i3.large", True), ("i4i.xlarge", True), ("m6gd.large", True), ("c5d.metal", True),
        ("d3en.xlarge", True), ("im4gn.large", True), ("r7gd.large", True), ("x1e.xlarge", True),
        ("g4dn.xlarge", True),
        ("m6g.large", False), ("t3.micro", False), ("c7i-flex.large", False), ("u-6tb1.metal", False),
    ],
)  # fmt: skip
def test_hosts_with_disks_of_their_own(machine: str, lost: bool) -> None:
    found = said(plan(change("aws_instance.x", REPLACE, {"instance_type": machine})))
    assert found == ([("stateful", "hold", "aws_instance.x")] if lost else [])


def test_an_ephemeral_block_device_and_a_scratch_disk() -> None:
    disks: list[tuple[str, dict[str, Any]]] = [
        ("aws_instance.x", {"instance_type": "m3.large", "ephemeral_block_device": [{"device_name": "sdb"}]}),
        (
            "google_compute_instance.x",
            {"machine_type": "n2-standard-2", "scratch_disk": [{"interface": "NVME"}]},
        ),
    ]
    for address, before in disks:
        assert said(plan(change(address, DELETE, before))) == [("stateful", "hold", address)]


def test_approval_by_name_lets_a_hold_pass_and_no_refusal() -> None:
    given = plan(
        change("aws_db_instance.x", DELETE, {"id": "1"}), change("aws_db_instance.y", DELETE, {"id": "2"})
    )
    approved = said(given, approved=["aws_db_instance.x"])
    assert approved == [("stateful", "hold", "aws_db_instance.y"), ("stateful", "note", "aws_db_instance.x")]
    subnets = plan(
        *(change(f"aws_subnet.{x}", CREATE, None, {"vpc_id": "v", "cidr_block": "10.0.0.0/24"}) for x in "ab")
    )
    assert said(subnets, approved=["aws_subnet.b"]) == [("subnet-overlap", "refuse", "aws_subnet.b")]


def test_what_vanished_is_not_made_anew_empty_unseen() -> None:
    given = plan(
        change("aws_opensearch_domain.x", CREATE, None, {"domain_name": "search"}),
        resource_drift=[change("aws_opensearch_domain.x", DELETE, {"domain_name": "search"})],
    )
    assert ("vanished", "hold", "aws_opensearch_domain.x") in said(given)


def hosts(replaced: int, there: int) -> list[dict[str, Any]]:
    return [
        change(
            f"aws_instance.web[{at}]", REPLACE if at < replaced else NOTHING, {"instance_type": "m6g.large"}
        )
        for at in range(there)
    ]


@pytest.mark.parametrize(
    ("replaced", "there", "held"), [(1, 2, False), (3, 10, False), (4, 10, True), (2, 2, True)]
)
def test_the_share_of_a_fleet(replaced: int, there: int, held: bool) -> None:
    assert (("fleet-share", "hold", "aws_instance.web") in said(plan(*hosts(replaced, there)))) == held


def test_the_share_counts_those_that_the_plan_does_not_touch() -> None:
    rest = [resource(f"aws_instance.web[{at}]", {}) for at in range(10)]
    assert said(plan(*hosts(3, 3), prior=rest)) == []
    assert said(plan(*hosts(3, 3), prior=rest), most=0.2) == [("fleet-share", "hold", "aws_instance.web")]


def test_most_of_everything() -> None:
    gone = [change(f"aws_iam_role.r{at}", DELETE, {}) for at in range(6)]
    rest = [change(f"aws_iam_role.k{at}", NOTHING, {}) for at in range(5)]
    assert said(plan(*gone, *rest)) == [("plan-share", "hold", "(plan)")]
    assert said(plan(*gone[:5], *rest)) == []
