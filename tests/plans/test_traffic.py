"""What traffic depends on, removed before its replacement stands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plans.written import BESIDE, CREATE, DELETE, REPLACE, UPDATE, change, judged, plan, resource, said

ROUTE = {"route_table_id": "rtb-1", "destination_cidr_block": "10.9.0.0/16", "gateway_id": "igw-1"}
USED = [
    resource("aws_subnet.web", {"id": "subnet-1", "vpc_id": "vpc-1", "cidr_block": "10.0.0.0/24"}),
    resource("aws_route_table_association.web", {"subnet_id": "subnet-1", "route_table_id": "rtb-1"}),
]


def test_a_route_that_is_replaced_leaves_a_subnet_without_it() -> None:
    other = {"destination_cidr_block": "10.9.0.0/17"}
    reason = {"action_reason": "replace_because_cannot_update", "replace_paths": [["destination_cidr_block"]]}
    (found,) = judged(plan(change("aws_route.out", REPLACE, ROUTE, other, **reason), prior=USED))
    assert (found.rule, found.severity, found.address) == ("remove-before-replace", "hold", "aws_route.out")
    assert (
        "an apply that stops half-way leaves subnet aws_subnet.web without a route to 10.9.0.0/16"
        in found.sentence
    )
    assert "destination_cidr_block cannot be changed in place" in found.sentence
    assert "create_before_destroy" in found.mend


def test_where_only_one_can_stand_create_before_destroy_is_no_mend() -> None:
    (found,) = judged(plan(change("aws_route.out", REPLACE, ROUTE, {"gateway_id": "igw-2"})))
    assert found.severity == "hold"
    assert "create_before_destroy would fail" in found.mend
    assert said(plan(change("aws_route.out", BESIDE, ROUTE, {"gateway_id": "igw-2"}))) == [
        ("create-beside-itself", "refuse", "aws_route.out")
    ]


def test_one_that_is_created_first_is_no_gap() -> None:
    assert said(plan(change("aws_route.out", BESIDE, ROUTE, {"destination_cidr_block": "10.8.0.0/16"}))) == []


@pytest.mark.parametrize(
    ("address", "before", "words"),
    [
        ("aws_lb_listener.x", {"load_balancer_arn": "arn:lb", "port": 443}, "a listener on port 443"),
        ("aws_route53_record.x", {"zone_id": "Z", "name": "api.acme.io", "type": "A"}, "api.acme.io A"),
        (
            "aws_security_group_rule.x",
            {"type": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22},
            "tcp",
        ),
        ("aws_nat_gateway.x", {"subnet_id": "subnet-1"}, "NAT"),
        ("google_compute_route.x", {"dest_range": "0.0.0.0/0", "network": "n"}, "a route to 0.0.0.0/0"),
        ("google_dns_record_set.x", {"name": "a.io.", "type": "A", "managed_zone": "z"}, "a.io. A"),
        ("azurerm_lb_rule.x", {"frontend_port": 80, "loadbalancer_id": "lb"}, "a listener on port 80"),
        ("azurerm_private_dns_a_record.x", {"name": "db", "zone_name": "z"}, "the DNS record db"),
        ("azurerm_network_security_rule.x", {"name": "https"}, "the security rule https"),
    ],
)
def test_every_kind_of_traffic(address: str, before: dict[str, Any], words: str) -> None:
    for actions, rule in ((REPLACE, "remove-before-replace"), (DELETE, "removal")):
        (found,) = judged(plan(change(address, actions, before)))
        assert (found.rule, found.severity) == (rule, "hold")
        assert words in found.sentence


def test_deleted_here_and_made_there_is_a_gap_too() -> None:
    found = judged(
        plan(change("aws_route.old", DELETE, ROUTE), change("aws_route.new", CREATE, None, ROUTE), prior=USED)
    )
    assert [(one.rule, one.severity, one.address) for one in found] == [
        ("remove-before-replace", "hold", "aws_route.old")
    ]
    assert "moved block" in found[0].mend


def test_what_goes_with_its_owner_is_a_note() -> None:
    given = plan(
        change("aws_route_table.t", DELETE, {"id": "rtb-1", "vpc_id": "vpc-1"}),
        change("aws_route.r", DELETE, ROUTE),
    )
    assert said(given) == [("removal", "hold", "aws_route_table.t"), ("removal", "note", "aws_route.r")]


def test_an_inline_list_is_taken_out_before_it_is_put_in() -> None:
    before = {
        "id": "rtb-1",
        "route": [
            {"cidr_block": "0.0.0.0/0", "gateway_id": "igw-1", "nat_gateway_id": ""},
            {"cidr_block": "10.9.0.0/16", "gateway_id": "", "nat_gateway_id": "nat-1"},
        ],
    }
    after = {
        "route": [
            {"cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"},
            {"cidr_block": "10.9.0.0/16", "nat_gateway_id": "nat-2"},
        ]
    }
    (found,) = judged(plan(change("aws_route_table.t", UPDATE, before, after), prior=USED))
    assert (found.rule, found.severity) == ("inline-list", "hold")
    assert "1 of 2 parts of its inline list route" in found.sentence
    assert "leaves subnet aws_subnet.web without it" in found.sentence
    assert "separate resources (aws_route)" in found.mend


def test_parts_that_are_only_added_or_only_written_otherwise() -> None:
    rule = {
        "protocol": "tcp",
        "from_port": 443,
        "to_port": 443,
        "cidr_blocks": ["0.0.0.0/0"],
        "description": "",
    }
    same = {key: value for key, value in rule.items() if key != "description"}
    more = {**rule, "from_port": 80, "to_port": 80}
    given = plan(change("aws_security_group.g", UPDATE, {"ingress": [rule]}, {"ingress": [more, same]}))
    assert said(given) == []


def test_an_emptied_inline_list() -> None:
    (found,) = judged(
        plan(change("aws_security_group.g", UPDATE, {"ingress": [{"from_port": 1}]}, {"ingress": []}))
    )
    assert (found.rule, found.severity) == ("inline-list", "hold")
    assert "nothing in their place" in found.sentence


def test_a_deposed_one_carries_no_traffic() -> None:
    assert said(plan(change("aws_route.out", DELETE, ROUTE, deposed="ab12cd34"))) == []


def test_sensitive_values_are_never_said() -> None:
    hidden = {"before_sensitive": {"name": True, "zone_id": True}}
    before = {"zone_id": "ZSECRET", "name": "secret.acme.io", "type": "A"}
    (found,) = judged(plan(change("aws_route53_record.x", REPLACE, before, {"ttl": 5}, **hidden)))
    assert "secret" not in (found.sentence + found.mend).lower()
    assert "(sensitive)" in found.sentence


def test_a_sensitive_subnet_is_not_said_by_its_id() -> None:
    used = resource(
        "aws_route_table_association.web",
        {"subnet_id": "subnet-secret", "route_table_id": "rtb-1"},
        sensitive_values={"subnet_id": True},
    )
    (found,) = judged(plan(change("aws_route.out", DELETE, ROUTE), prior=[used]))
    assert "subnet (sensitive) will be without" in found.sentence
    assert "secret" not in found.sentence + found.mend


def test_a_list_that_has_no_separate_resources_names_none() -> None:
    before = {"name": "web", "listener": [{"lb_port": 80}, {"lb_port": 443}]}
    for after in ([{"lb_port": 80}, {"lb_port": 8443}], [{"lb_port": 80}]):
        (found,) = judged(plan(change("aws_elb.web", UPDATE, before, {"listener": after})))
        assert found.rule == "inline-list"
        assert "separate resources" not in found.mend
        assert found.mend
