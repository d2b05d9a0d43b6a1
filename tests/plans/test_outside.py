"""Subnets outside of their network, and peerings of networks that overlap."""

from __future__ import annotations

from typing import Any

from tests.plans.written import CREATE, change, judged, plan, resource, said

NEW = change("aws_vpc.main", CREATE, None, {"id": None, "cidr_block": "10.0.0.0/16"}, unknown={"id": True})
WRITTEN = {
    "root_module": {
        "resources": [
            {
                "address": "aws_subnet.a",
                "expressions": {"vpc_id": {"references": ["aws_vpc.main.id", "aws_vpc.main"]}},
            }
        ]
    }
}


def inside(cidr: str, *more: dict[str, Any]) -> list[tuple[str, str, str]]:
    subnet = change("aws_subnet.a", CREATE, None, {"cidr_block": cidr}, unknown={"vpc_id": True})
    return said(plan(NEW, subnet, *more, configuration=WRITTEN))


def test_outside_of_a_network_that_this_plan_makes() -> None:
    assert inside("10.0.200.0/24") == []
    assert inside("10.1.0.0/24") == [("subnet-outside", "refuse", "aws_subnet.a")]
    assert inside("10.0.0.0/15") == [("subnet-outside", "refuse", "aws_subnet.a")]


def test_one_that_is_there_may_have_more_ranges() -> None:
    subnet = change("aws_subnet.a", CREATE, None, {"vpc_id": "vpc-1", "cidr_block": "10.1.0.0/24"})
    there = resource("aws_vpc.main", {"id": "vpc-1", "cidr_block": "10.0.0.0/16"})
    assert said(plan(subnet, prior=[there])) == [("subnet-outside", "hold", "aws_subnet.a")]
    more = resource(
        "aws_vpc_ipv4_cidr_block_association.more", {"vpc_id": "vpc-1", "cidr_block": "10.1.0.0/16"}
    )
    assert said(plan(subnet, prior=[there, more])) == []
    assert said(plan(subnet)) == []


def test_peers() -> None:
    def peered(other: str) -> list[tuple[str, str, str]]:
        return said(
            plan(
                change(
                    "aws_vpc_peering_connection.p", CREATE, None, {"vpc_id": "vpc-1", "peer_vpc_id": "vpc-2"}
                ),
                prior=[
                    resource("aws_vpc.one", {"id": "vpc-1", "cidr_block": "10.0.0.0/16"}),
                    resource("aws_vpc.two", {"id": "vpc-2", "cidr_block": other}),
                ],
            )
        )

    assert peered("10.1.0.0/16") == []
    assert peered("10.0.128.0/17") == [("peers-overlap", "refuse", "aws_vpc_peering_connection.p")]


SENSITIVE = {"after_sensitive": {"cidr_block": True}}


def test_a_sensitive_range_of_a_network_is_compared_and_not_said() -> None:
    there = {"id": "vpc-1", "cidr_block": "10.66.0.0/16"}
    hidden = resource("aws_vpc.main", there, sensitive_values={"cidr_block": True})
    subnet = {"vpc_id": "vpc-1", "cidr_block": "10.77.0.0/24"}
    (found,) = judged(plan(change("aws_subnet.a", CREATE, None, subnet), prior=[hidden]))
    assert found.rule == "subnet-outside"
    assert "(10.77.0.0/24 is not in (sensitive))" in found.sentence
    assert "10.66" not in found.sentence + found.mend

    shown = resource("aws_vpc.main", there)
    (found,) = judged(plan(change("aws_subnet.a", CREATE, None, subnet, **SENSITIVE), prior=[shown]))
    assert "((sensitive) is not in 10.66.0.0/16)" in found.sentence
    assert "10.77" not in found.sentence + found.mend


def test_sensitive_ranges_of_peers_are_compared_and_not_said() -> None:
    given = plan(
        change("aws_vpc_peering_connection.p", CREATE, None, {"vpc_id": "vpc-1", "peer_vpc_id": "vpc-2"}),
        prior=[
            resource(
                "aws_vpc.one",
                {"id": "vpc-1", "cidr_block": "10.66.0.0/16"},
                sensitive_values={"cidr_block": True},
            ),
            resource("aws_vpc.two", {"id": "vpc-2", "cidr_block": "10.66.128.0/17"}),
        ],
    )
    (found,) = judged(given)
    assert found.rule == "peers-overlap"
    assert "((sensitive) and 10.66.128.0/17)" in found.sentence
    assert "10.66.0.0" not in found.sentence + found.mend
