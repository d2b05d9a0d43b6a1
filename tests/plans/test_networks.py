"""Which network a subnet is in: named in several ways, or known at apply only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plans.written import CREATE, UPDATE, change, judged, plan, resource, said

URL = "https://www.googleapis.com/compute/v1/projects/acme/global/networks/main"


def google(address: str, network: str | None, cidr: str, **more: Any) -> dict[str, Any]:
    unknown = {"network": True} if network is None else {}
    return change(
        f"google_compute_subnetwork.{address}",
        CREATE,
        None,
        {"network": network, "ip_cidr_range": cidr, "region": "europe-west1", **more},
        unknown=unknown,
    )


OVERLAP = [("subnet-overlap", "refuse", "google_compute_subnetwork.b")]


@pytest.mark.parametrize(
    "named",
    [
        "main",
        "global/networks/main",
        "projects/acme/global/networks/main",
        "https://compute.googleapis.com/compute/v1/projects/acme/global/networks/main",
    ],
)
def test_a_google_network_is_one_however_it_is_named(named: str) -> None:
    assert said(plan(google("a", URL, "10.0.0.0/24"), google("b", named, "10.0.0.0/25"))) == OVERLAP
    assert said(plan(google("b", named, "10.0.0.0/25"), google("a", URL, "10.0.1.0/24"))) == []


def test_google_networks_of_two_projects_are_two() -> None:
    other = URL.replace("acme", "other")
    assert said(plan(google("a", URL, "10.0.0.0/24"), google("b", other, "10.0.0.0/24"))) == []
    named = google("b", "main", "10.0.0.0/24", project="other")
    assert said(plan(google("a", URL, "10.0.0.0/24"), named)) == []
    named = google("b", "main", "10.0.0.0/24", project="acme")
    assert said(plan(google("a", URL, "10.0.0.0/24"), google("c", other, "10.1.0.0/24"), named)) == OVERLAP
    (found,) = judged(
        plan(
            google("a", URL, "10.0.0.0/24"),
            google("c", other, "10.1.0.0/24"),
            google("b", "main", "10.0.0.0/24"),
        )
    )
    assert (found.severity, found.address) == ("note", "google_compute_subnetwork.b")
    assert "ranges were not compared" in found.sentence


def test_a_new_google_network_by_its_name_and_by_its_id() -> None:
    new = change("google_compute_network.n", CREATE, None, {"name": "main"}, unknown={"id": True})
    written = {
        "root_module": {
            "resources": [
                {
                    "address": "google_compute_subnetwork.b",
                    "expressions": {
                        "network": {"references": ["google_compute_network.n.id", "google_compute_network.n"]}
                    },
                }
            ]
        }
    }
    subnets = google("a", "main", "10.0.0.0/24"), google("b", None, "10.0.0.0/24")
    assert said(plan(new, *subnets, configuration=written)) == OVERLAP


def test_azure_names_are_one_in_any_case() -> None:
    given = plan(
        *(
            change(
                f"azurerm_subnet.{at}",
                CREATE,
                None,
                {
                    "name": at,
                    "resource_group_name": group,
                    "virtual_network_name": network,
                    "address_prefixes": ["10.0.0.0/24"],
                },
            )
            for at, group, network in (("a", "Prod", "Main"), ("b", "prod", "main"), ("c", "prod", "other"))
        )
    )
    assert said(given) == [("subnet-overlap", "refuse", "azurerm_subnet.b")]


def written(*references: str) -> dict[str, Any]:
    """Two subnets of one range: a is in aws_vpc.main, b in whatever these references name."""

    def block(name: str, those: tuple[str, ...]) -> dict[str, Any]:
        return {"address": f"aws_subnet.{name}", "expressions": {"vpc_id": {"references": list(those)}}}

    return {
        "resources": [block("a", ("aws_vpc.main.id", "aws_vpc.main")), block("b", references)],
        "module_calls": {
            "net": {
                "expressions": {"given": {"references": ["aws_vpc.main.id", "aws_vpc.main"]}},
                "module": {
                    "outputs": {
                        "passed": {"expression": {"references": ["var.given"]}},
                        "own": {"expression": {"references": ["aws_vpc.inner.id", "aws_vpc.inner"]}},
                    },
                    "resources": [
                        {
                            "address": "aws_subnet.c",
                            "expressions": {"vpc_id": {"references": ["var.given"]}},
                        }
                    ],
                },
            }
        },
    }


UNKNOWN_ID = {"cidr_block": "10.0.0.0/16"}
SUBNET = {"cidr_block": "10.0.0.0/24"}


def in_modules(*references: str, module: str = "module.net") -> list[tuple[str, str, str]]:
    given = plan(
        change("aws_vpc.main", CREATE, None, UNKNOWN_ID, unknown={"id": True}),
        change("aws_subnet.a", CREATE, None, SUBNET, unknown={"vpc_id": True}),
        change("aws_subnet.b", CREATE, None, SUBNET, unknown={"vpc_id": True}),
        change(f"{module}.aws_vpc.inner", CREATE, None, UNKNOWN_ID, unknown={"id": True}),
        change(
            "aws_vpc_ipv4_cidr_block_association.more",
            CREATE,
            None,
            {"cidr_block": "10.1.0.0/16"},
            unknown={"vpc_id": True},
        ),
        configuration={"root_module": written(*references)},
    )
    return said(given)


SAME = [("subnet-overlap", "refuse", "aws_subnet.b")]
UNTOLD = [("subnet-overlap", "note", "aws_subnet.b")]


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (("aws_vpc.main.id", "aws_vpc.main"), SAME),
        (("module.net.passed", "module.net"), SAME),
        (("module.net.own", "module.net"), []),
        (("var.id", "aws_vpc.main.id", "aws_vpc.main"), SAME),
        (("aws_vpc.main.id", "aws_vpc.main", "module.net.own", "module.net"), UNTOLD),
        (("local.id", "aws_vpc.main.id", "aws_vpc.main"), UNTOLD),
        (("module.net.nothing", "module.net"), UNTOLD),
        (("module.other.own", "module.other"), UNTOLD),
        ((), UNTOLD),
    ],
)
def test_references_say_the_network_where_they_name_only_one(
    references: tuple[str, ...], expected: list[Any]
) -> None:
    assert in_modules(*references) == expected


def test_a_module_with_for_each_is_followed_to_its_instance() -> None:
    place = 'module.net["eu.module.x"]'
    assert in_modules(f"{place}.own", place, module=place) == []
    assert in_modules(f"{place}.passed", place, module=place) == SAME


def test_a_variable_of_a_module_is_what_its_call_gives() -> None:
    for module in ("module.net", 'module.net["eu"]'):
        given = plan(
            change("aws_vpc.main", CREATE, None, UNKNOWN_ID, unknown={"id": True}),
            change("aws_subnet.a", CREATE, None, SUBNET, unknown={"vpc_id": True}),
            change(f"{module}.aws_subnet.c", CREATE, None, SUBNET, unknown={"vpc_id": True}),
            configuration={"root_module": written()},
        )
        assert said(given) == [("subnet-overlap", "refuse", f"{module}.aws_subnet.c")]


def test_a_network_named_through_its_further_range_is_that_network() -> None:
    references = ["aws_vpc_ipv4_cidr_block_association.more.vpc_id"]
    main = {"references": ["aws_vpc.main.id", "aws_vpc.main"]}
    blocks = written(*references)
    blocks["resources"].append(
        {"address": "aws_vpc_ipv4_cidr_block_association.more", "expressions": {"vpc_id": main}}
    )
    given = plan(
        change("aws_vpc.main", CREATE, None, UNKNOWN_ID, unknown={"id": True}),
        change("aws_subnet.a", CREATE, None, SUBNET, unknown={"vpc_id": True}),
        change("aws_subnet.b", CREATE, None, SUBNET, unknown={"vpc_id": True}),
        change(
            "aws_vpc_ipv4_cidr_block_association.more",
            CREATE,
            None,
            {"cidr_block": "10.1.0.0/16"},
            unknown={"vpc_id": True},
        ),
        configuration={"root_module": blocks},
    )
    assert said(given) == SAME


def azure(subnets: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resource_group_name": "g", "name": "v", "address_space": ["10.0.0.0/16"], "subnet": subnets}


def inline(name: str, cidr: str) -> dict[str, Any]:
    """A subnet as azurerm_virtual_network shows it."""
    network = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"
    return {"name": name, "address_prefixes": [cidr], "id": f"{network}/subnets/{name}", "security_group": ""}


NEW_PARTS = {"subnet": [{"id": True, "address_prefixes": [False]}, {"id": True, "address_prefixes": [False]}]}


def test_inline_subnets_of_a_network_are_read() -> None:
    parts = [{"name": at, "address_prefixes": ["10.0.0.0/24"]} for at in "ab"]
    made = change("azurerm_virtual_network.v", CREATE, None, azure(parts), unknown=NEW_PARTS)
    assert said(plan(made)) == [("subnet-overlap", "refuse", "azurerm_virtual_network.v")]
    old = [{"name": at, "address_prefix": "10.0.0.0/24"} for at in "ab"]
    made = change("azurerm_virtual_network.v", CREATE, None, azure(old), unknown={})
    assert said(plan(made)) == [("subnet-overlap", "refuse", "azurerm_virtual_network.v")]
    far = [{"name": "a", "address_prefixes": ["10.9.0.0/24"]}]
    made = change("azurerm_virtual_network.v", CREATE, None, azure(far), unknown=NEW_PARTS)
    assert said(plan(made)) == [("subnet-outside", "refuse", "azurerm_virtual_network.v")]


def test_a_network_whose_group_is_not_known_yet_is_still_itself() -> None:
    parts = [{"name": at, "address_prefixes": ["10.0.0.0/24"]} for at in "ab"]
    unknown = {"resource_group_name": True, **NEW_PARTS}
    made = change("azurerm_virtual_network.v", CREATE, None, azure(parts), unknown=unknown)
    assert said(plan(made)) == [("subnet-overlap", "refuse", "azurerm_virtual_network.v")]


def separate(cidr: str, actions: tuple[str, ...] = CREATE) -> dict[str, Any]:
    after = {
        "name": "b",
        "resource_group_name": "g",
        "virtual_network_name": "v",
        "address_prefixes": [cidr],
    }
    return change("azurerm_subnet.b", actions, None, after, unknown={"id": True})


def test_a_separate_subnet_against_an_inline_one() -> None:
    there = resource("azurerm_virtual_network.v", azure([inline("a", "10.0.0.0/24")]))
    assert said(plan(separate("10.0.1.0/24"), prior=[there])) == []
    assert said(plan(separate("10.0.0.0/25"), prior=[there])) == [
        ("subnet-overlap", "refuse", "azurerm_subnet.b")
    ]


def test_a_network_lists_its_separate_subnets_too_and_they_do_not_overlap_themselves() -> None:
    listed = inline("a", "10.0.0.0/24")
    listed["id"] = listed["id"].replace("resourceGroups", "resourcegroups")
    network = azure([listed])
    own = {
        "id": inline("a", "")["id"],
        "name": "a",
        "resource_group_name": "g",
        "virtual_network_name": "v",
        "address_prefixes": ["10.0.0.0/24"],
    }
    given = plan(
        change("azurerm_virtual_network.v", UPDATE, network, {"tags": {"a": "b"}}),
        change("azurerm_subnet.a", UPDATE, own, {"address_prefixes": ["10.0.0.0/25"]}),
        prior=[
            resource("azurerm_virtual_network.v", network),
            resource("azurerm_subnet.a", own),
        ],
    )
    assert said(given) == []


def test_subnets_that_a_new_network_does_not_name_are_no_news() -> None:
    made = change("azurerm_virtual_network.v", CREATE, None, azure([]), unknown={"subnet": True})
    assert said(plan(made)) == []
    part = {"subnet": [{"id": True, "address_prefixes": True}]}
    made = change("azurerm_virtual_network.v", CREATE, None, azure([{"name": "a"}]), unknown=part)
    assert said(plan(made)) == [("subnet-overlap", "note", "azurerm_virtual_network.v")]
