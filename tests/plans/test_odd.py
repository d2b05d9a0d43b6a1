"""Plans of an odd shape: each is read, or is PlanUnreadable; none ends in a trace."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockstep.errors import PlanUnreadable
from lockstep.guard.plans.judge import judge_terraform
from lockstep.guard.plans.terraform import read_terraform
from tests.plans.test_networks import URL, azure, google, inline, written
from tests.plans.written import BESIDE, CREATE, DELETE, REPLACE, UPDATE, change, plan, resource, said

VPC = {"cidr_block": "10.0.0.0/16"}
ROUTE = {"route_table_id": "rtb-1", "destination_cidr_block": "10.9.0.0/16"}


def everything() -> dict[str, Any]:
    """A plan in which every rule has something to read."""
    return plan(
        change("aws_vpc.main", CREATE, None, VPC, unknown={"id": True}),
        change("aws_subnet.a", CREATE, None, {"cidr_block": "10.0.0.0/24"}, unknown={"vpc_id": True}),
        change("aws_subnet.b", CREATE, None, {"cidr_block": "10.0.0.0/24"}, unknown={"vpc_id": True}),
        change('module.net["x"].aws_subnet.c', CREATE, None, VPC, unknown={"vpc_id": True}),
        change("aws_route.out", REPLACE, ROUTE, {}, replace_paths=[["gateway_id"]]),
        change("aws_route.gone", DELETE, ROUTE),
        change(
            "aws_route_table.t", UPDATE, {"id": "rtb-1", "route": [{"cidr_block": "::/0"}]}, {"route": []}
        ),
        change("aws_vpc_peering_connection.p", CREATE, None, {"vpc_id": "vpc-1", "peer_vpc_id": "vpc-2"}),
        change("aws_db_instance.d", DELETE, {"skip_final_snapshot": True}),
        change("aws_instance.h[0]", BESIDE, {"instance_type": "i3.large", "ephemeral_block_device": [{}]}),
        change("azurerm_virtual_network.v", UPDATE, azure([inline("a", "10.0.0.0/24")]), {}),
        google("g", URL, "10.0.0.0/24", secondary_ip_range=[{"ip_cidr_range": "10.8.0.0/24"}]),
        prior=[
            resource("aws_subnet.web", {"id": "subnet-1", "vpc_id": "vpc-1", "cidr_block": "10.0.0.0/24"}),
            resource("aws_route_table_association.w", {"subnet_id": "subnet-1", "route_table_id": "rtb-1"}),
            resource("aws_vpc.one", {"id": "vpc-1", **VPC}),
            resource("aws_vpc.two", {"id": "vpc-2", **VPC}),
        ],
        resource_drift=[change("aws_ebs_volume.x", DELETE, {"id": "vol-1"})],
        deferred_changes=[
            {"reason": "unknown", "resource_change": change("aws_vpc.later", CREATE, None, VPC)}
        ],
        configuration={"root_module": written("module.net.passed", "module.net")},
    )


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(place for name, part in inner for place in places(part, (*at, name)))]


def without(tree: Any, place: tuple[Any, ...], odd: Any) -> Any:
    """The tree with another value at a place; with nothing there where `odd` is MISSING."""
    if not place:
        return odd
    tree = copy.deepcopy(tree)
    found = tree
    for step in place[:-1]:
        found = found[step]
    if odd is MISSING:
        del found[place[-1]]
    else:
        found[place[-1]] = odd
    return tree


MISSING: Any = object()
PLACES = [place for place in places(everything()) if place]
ODD = st.sampled_from(
    [MISSING, None, True, False, 0, -1.5, "", "x", "module.", "var.", [], [[]], [None], {}, {"": None}, ["x"]]
)


def test_the_whole_of_it_is_read() -> None:
    rules = {rule for rule, _, _ in said(everything())}
    assert rules >= {
        "subnet-overlap", "peers-overlap", "remove-before-replace", "removal", "inline-list", "stateful",
        "drift", "deferred",
    }  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=1))
@example([(("configuration", "root_module", "module_calls"), [])])
@example([(("configuration", "root_module", "module_calls", "net"), "x")])
@example([(("configuration", "root_module", "resources", 0, "expressions"), ["x"])])
@example([(("resource_changes", 5, "change", "before", "route_table_id"), [])])
def test_no_odd_part_ends_in_a_trace(changed: list[tuple[tuple[Any, ...], Any]]) -> None:
    given = everything()
    for place, odd in changed:
        given = without(given, place, odd)
    with contextlib.suppress(PlanUnreadable):
        judge_terraform(read_terraform(given))


@pytest.mark.parametrize(
    "root",
    [
        [],
        "x",
        {"resources": {}},
        {"resources": [7, None]},
        {"resources": [{"address": "aws_subnet.a", "expressions": []}]},
        {"resources": [{"address": "aws_subnet.a", "expressions": {"vpc_id": [{"references": "x"}]}}]},
        {"resources": [{"address": "aws_subnet.a", "expressions": {"vpc_id": {"references": "x"}}}]},
        {"resources": [{"address": "aws_subnet.a", "expressions": {"vpc_id": {"references": [None, {}]}}}]},
        {
            "resources": [
                {"address": "aws_subnet.a", "expressions": {"vpc_id": {"references": ["module.x.y"]}}}
            ],
            "module_calls": {"x": {"module": {"outputs": []}}},
        },
    ],
)  # fmt: skip
def test_a_configuration_of_another_shape_leaves_the_network_unknown(root: Any) -> None:
    subnet = change("aws_subnet.a", CREATE, None, {"cidr_block": "10.0.0.0/24"}, unknown={"vpc_id": True})
    given = plan(subnet, configuration={"root_module": root})
    assert said(given) == [("subnet-overlap", "note", "aws_subnet.a")]


def test_modules_that_name_each_other_in_a_circle() -> None:
    def module(output: str) -> dict[str, Any]:
        return {"outputs": {"id": {"expression": {"references": [output]}}}}

    root = {
        "resources": [
            {"address": "aws_subnet.a", "expressions": {"vpc_id": {"references": ["module.x.id"]}}}
        ],
        "module_calls": {
            "x": {"module": module("var.v"), "expressions": {"v": {"references": ["module.x.id"]}}}
        },
    }
    subnet = change("aws_subnet.a", CREATE, None, {"cidr_block": "10.0.0.0/24"}, unknown={"vpc_id": True})
    assert said(plan(subnet, configuration={"root_module": root})) == [
        ("subnet-overlap", "note", "aws_subnet.a")
    ]
