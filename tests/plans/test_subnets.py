"""Subnets that the provider would refuse, found before anything is touched."""

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


def subnet(cidr: str | None, vpc: str = "vpc-1", **more: Any) -> dict[str, Any]:
    return {"vpc_id": vpc, "cidr_block": cidr, "ipv6_cidr_block": None, **more}


def test_two_new_ones_that_overlap() -> None:
    found = judged(
        plan(
            change("aws_subnet.a", CREATE, None, subnet("10.0.0.0/23")),
            change("aws_subnet.b", CREATE, None, subnet("10.0.1.0/24")),
        )
    )
    assert [(one.rule, one.severity, one.address) for one in found] == [
        ("subnet-overlap", "refuse", "aws_subnet.b")
    ]
    assert "aws_subnet.a (10.0.0.0/23)" in found[0].sentence
    assert found[0].mend


def test_one_that_overlaps_what_is_there() -> None:
    there = resource("aws_subnet.old", subnet("10.0.0.0/16"))
    for where in ("prior", "planned"):
        given = plan(change("aws_subnet.new", CREATE, None, subnet("10.0.9.0/24")), **{where: [there]})
        assert said(given) == [("subnet-overlap", "refuse", "aws_subnet.new")]
    data = resource("data.aws_subnet.old", subnet("10.0.0.0/16"))
    given = plan(change("aws_subnet.new", CREATE, None, subnet("10.0.9.0/24")), prior=[data])
    assert said(given) == [("subnet-overlap", "refuse", "aws_subnet.new")]


def test_ipv6() -> None:
    given = plan(
        change("aws_subnet.a", CREATE, None, subnet(None, ipv6_cidr_block="2600:1f18::/64")),
        change("aws_subnet.b", CREATE, None, subnet(None, ipv6_cidr_block="2600:1f18:0:0::/64")),
    )
    assert said(given) == [("subnet-overlap", "refuse", "aws_subnet.b")]


def test_count_and_for_each_and_modules() -> None:
    given = plan(
        change("aws_subnet.a[0]", CREATE, None, subnet("10.0.0.0/24")),
        change(
            'module.net["eu.west"].aws_subnet.a["x.y"]',
            CREATE,
            None,
            subnet("10.0.0.0/25"),
        ),
    )
    assert said(given) == [("subnet-overlap", "refuse", 'module.net["eu.west"].aws_subnet.a["x.y"]')]


def test_other_networks_and_neighbours_are_no_overlap() -> None:
    given = plan(
        change("aws_subnet.a", CREATE, None, subnet("10.0.0.0/24")),
        change("aws_subnet.b", CREATE, None, subnet("10.0.0.0/24", "vpc-2")),
        change("aws_subnet.c", CREATE, None, subnet("10.0.1.0/24")),
        change("aws_subnet.d", NOTHING, subnet("10.0.2.0/24")),
        change("aws_subnet.e", UPDATE, subnet("10.0.3.0/24"), {"tags": {"a": "b"}}),
    )
    assert said(given) == []


def test_what_is_known_at_apply_only_is_said() -> None:
    unknown = {"cidr_block": True, "id": True}
    given = plan(change("aws_subnet.a", CREATE, None, {"vpc_id": "vpc-1"}, unknown=unknown))
    (found,) = judged(given)
    assert (found.severity, found.address) == ("note", "aws_subnet.a")
    assert "known only at apply" in found.sentence


def test_a_null_range_is_no_range() -> None:
    assert said(plan(change("aws_subnet.a", CREATE, None, subnet(None)))) == []


def test_text_that_is_no_range() -> None:
    assert said(plan(change("aws_subnet.a", CREATE, None, subnet("10.0.0.0/40")))) == [
        ("subnet-range", "refuse", "aws_subnet.a")
    ]


@pytest.mark.parametrize("actions", [REPLACE, BESIDE])
def test_a_replaced_one_beside_its_old_self(actions: tuple[str, ...]) -> None:
    given = plan(change("aws_subnet.a", actions, subnet("10.0.0.0/24"), subnet("10.0.0.0/23")))
    refused = [("subnet-overlap", "refuse", "aws_subnet.a")] if actions == BESIDE else []
    assert said(given) == refused


def test_a_renamed_one_takes_a_range_that_is_not_free_yet() -> None:
    given = plan(
        change("aws_subnet.old", DELETE, subnet("10.0.0.0/24")),
        change("aws_subnet.new", CREATE, None, subnet("10.0.0.0/24")),
    )
    (found,) = judged(given)
    assert (found.rule, found.severity, found.address) == ("subnet-overlap", "hold", "aws_subnet.new")
    assert "moved block" in found.mend


def test_a_moved_one_does_not_overlap_its_old_self() -> None:
    moved: dict[str, Any] = {"previous_address": "aws_subnet.old"}
    there = [resource("aws_subnet.new", subnet("10.0.0.0/24", id="subnet-1"))]
    for actions, after in ((NOTHING, {}), (UPDATE, {"tags": {}}), (REPLACE, {"cidr_block": "10.0.0.0/23"})):
        given = change("aws_subnet.new", actions, subnet("10.0.0.0/24", id="subnet-1"), after, **moved)
        assert said(plan(given, prior=there)) == []


def test_a_moved_one_keeps_its_range() -> None:
    there = subnet("10.0.0.0/24", id="subnet-1")
    given = plan(
        change("aws_subnet.moved", NOTHING, there, previous_address="aws_subnet.old"),
        change("aws_subnet.new", CREATE, None, subnet("10.0.0.0/25")),
    )
    assert said(given) == [("subnet-overlap", "refuse", "aws_subnet.new")]


def test_an_imported_one_is_there_already() -> None:
    there = subnet("10.0.0.0/24", id="subnet-1")
    for actions in (NOTHING, UPDATE):
        imported = change("aws_subnet.a", actions, there, {"tags": {}}, importing={"id": "subnet-1"})
        prior = [resource("aws_subnet.a", there)]
        assert said(plan(imported, prior=prior)) == []
        given = plan(imported, change("aws_subnet.b", CREATE, None, subnet("10.0.0.0/25")), prior=prior)
        assert said(given) == [("subnet-overlap", "refuse", "aws_subnet.b")]


def test_one_that_is_managed_and_read_as_data_does_not_overlap_itself() -> None:
    there = subnet("10.0.0.0/24", id="subnet-1")
    replaced = change("aws_subnet.a", REPLACE, there, {"cidr_block": "10.0.0.0/23"}, unknown={"id": True})
    prior = [resource("aws_subnet.a", there), resource("data.aws_subnet.same", there)]
    assert said(plan(replaced, prior=prior)) == []
    other = resource("data.aws_subnet.other", subnet("10.0.1.0/24", id="subnet-2"))
    assert said(plan(replaced, prior=[*prior, other])) == [("subnet-overlap", "refuse", "aws_subnet.a")]


def test_what_overlaps_already_is_not_this_plan_s_doing() -> None:
    there = [resource(f"aws_subnet.{at}", subnet("10.0.0.0/24", id=at)) for at in "ab"]
    tagged = change("aws_subnet.a", UPDATE, subnet("10.0.0.0/24", id="a"), {"tags": {"a": "b"}})
    assert said(plan(tagged, prior=there)) == []
    wider = change("aws_subnet.a", UPDATE, subnet("10.0.0.0/24", id="a"), {"cidr_block": "10.0.0.0/23"})
    assert said(plan(wider, prior=there)) == [("subnet-overlap", "refuse", "aws_subnet.a")]


def test_one_that_is_only_read_again_is_not_new() -> None:
    read = change("data.aws_subnet.a", ("read",), None, subnet("10.0.0.0/24"))
    assert said(plan(read, prior=[resource("aws_subnet.b", subnet("10.0.0.0/24"))])) == []


def test_a_forgotten_one_keeps_its_range() -> None:
    given = plan(
        change("aws_subnet.old", ("forget",), subnet("10.0.0.0/24")),
        change("aws_subnet.new", CREATE, None, subnet("10.0.0.0/24")),
        prior=[resource("aws_subnet.old", subnet("10.0.0.0/24"))],
    )
    assert ("subnet-overlap", "refuse", "aws_subnet.new") in said(given)


def test_a_network_that_is_new_is_known_by_its_address() -> None:
    def written(a: str, b: str) -> dict[str, Any]:
        block = {"expressions": {"vpc_id": {"references": ["aws_vpc.one.id", "aws_vpc.one"]}}}
        other = {"expressions": {"vpc_id": {"references": ["aws_vpc.two.id", "aws_vpc.two"]}}}
        return plan(
            change("aws_vpc.one", CREATE, None, {"cidr_block": "10.0.0.0/16"}, unknown={"id": True}),
            change("aws_vpc.two", CREATE, None, {"cidr_block": "10.0.0.0/16"}, unknown={"id": True}),
            change("aws_subnet.a", CREATE, None, {"cidr_block": a}, unknown={"vpc_id": True}),
            change("aws_subnet.b", CREATE, None, {"cidr_block": b}, unknown={"vpc_id": True}),
            change("aws_subnet.c", CREATE, None, {"cidr_block": a}, unknown={"vpc_id": True}),
            configuration={
                "root_module": {
                    "resources": [
                        {"address": "aws_subnet.a", **block},
                        {"address": "aws_subnet.b", **block},
                        {"address": "aws_subnet.c", **other},
                    ]
                }
            },
        )

    assert said(written("10.0.0.0/24", "10.0.1.0/24")) == []
    assert said(written("10.0.0.0/24", "10.0.0.128/25")) == [("subnet-overlap", "refuse", "aws_subnet.b")]


def test_google_and_azure() -> None:
    google = plan(
        change(
            "google_compute_subnetwork.a",
            CREATE,
            None,
            {
                "network": "projects/p/global/networks/n",
                "ip_cidr_range": "10.0.0.0/24",
                "secondary_ip_range": [{"range_name": "pods", "ip_cidr_range": "10.0.0.0/20"}],
            },
        )
    )
    assert said(google) == [("subnet-overlap", "refuse", "google_compute_subnetwork.a")]
    azure = {"resource_group_name": "g", "virtual_network_name": "v"}
    given = plan(
        change("azurerm_subnet.a", CREATE, None, {**azure, "address_prefixes": ["10.0.0.0/24", "fd00::/64"]}),
        change("azurerm_subnet.b", CREATE, None, {**azure, "address_prefixes": ["fd00::/64"]}),
    )
    assert said(given) == [("subnet-overlap", "refuse", "azurerm_subnet.b")]


def test_a_sensitive_range_is_compared_and_not_said() -> None:
    hidden = {"after_sensitive": {"cidr_block": True}}
    found = judged(
        plan(
            change("aws_subnet.a", CREATE, None, subnet("10.66.0.0/24"), **hidden),
            change("aws_subnet.b", CREATE, None, subnet("10.66.0.0/24"), **hidden),
        )
    )
    assert [one.severity for one in found] == ["refuse"]
    assert "10.66" not in found[0].sentence + found[0].mend
