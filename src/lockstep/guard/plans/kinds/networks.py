"""Types that take ranges of addresses, give a network its own, or join two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Naming = Literal["exact", "google", "azure"]
"""How a cloud names one network in several ways: Google by its name or a URL, Azure in any case."""


@dataclass(frozen=True)
class Addressed:
    """A type that takes ranges of addresses out of a network.

    `network`: the fields that together say which network. `ranges`: fields with a range or a list of them;
    "a[].b" is field b of the elements of list a. `filled`: those of them that the provider fills in where
    nobody says them.
    """

    network: tuple[str, ...]
    ranges: tuple[str, ...]
    filled: tuple[str, ...] = ()
    naming: Naming = "exact"


@dataclass(frozen=True)
class Realm:
    """A type that gives a network its ranges. `identity`: the fields by which others name it, as above."""

    identity: tuple[str, ...]
    ranges: tuple[str, ...]
    whole: bool = False  # whether it names all ranges of the network; else more may have been added elsewhere
    naming: Naming = "exact"


@dataclass(frozen=True)
class Peering:
    """A type that joins two networks, whose ranges must not overlap."""

    one: str
    other: str


_AWS_SUBNET = Addressed(("vpc_id",), ("cidr_block", "ipv6_cidr_block"))

ADDRESSED = {
    "aws_subnet": _AWS_SUBNET,
    "aws_default_subnet": _AWS_SUBNET,
    "google_compute_subnetwork": Addressed(
        ("network",),
        ("ip_cidr_range", "secondary_ip_range[].ip_cidr_range"),
        ("secondary_ip_range",),
        "google",
    ),
    "azurerm_subnet": Addressed(
        ("resource_group_name", "virtual_network_name"), ("address_prefixes[]",), (), "azure"
    ),
    "azurerm_virtual_network": Addressed(  # address_prefix: of version 3 of the provider and before
        ("resource_group_name", "name"),
        ("subnet[].address_prefixes[]", "subnet[].address_prefix"),
        ("subnet",),
        "azure",
    ),
}

REALMS = {
    # cidr_block_associations is a field of the data source
    "aws_vpc": Realm(("id",), ("cidr_block", "ipv6_cidr_block", "cidr_block_associations[].cidr_block")),
    "aws_default_vpc": Realm(("id",), ("cidr_block", "ipv6_cidr_block")),
    "aws_vpc_ipv4_cidr_block_association": Realm(("vpc_id",), ("cidr_block",)),
    "aws_vpc_ipv6_cidr_block_association": Realm(("vpc_id",), ("ipv6_cidr_block",)),
    "google_compute_network": Realm(("name",), (), naming="google"),  # its subnets are its ranges
    "azurerm_virtual_network": Realm(
        ("resource_group_name", "name"), ("address_space[]",), whole=True, naming="azure"
    ),
}

PEERINGS = {"aws_vpc_peering_connection": Peering("vpc_id", "peer_vpc_id")}
