"""Types that traffic depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """A type that traffic depends on.

    `what`: what is missing without it; {field} is filled in, and {a|b} is the first that has a value.
    `identity`: fields of which the provider keeps only one at a time, so that a second cannot be created
    beside it. `owner`: the field that names what it belongs to. `inline`: lists of parts that are removed and
    added one by one where they change; `separate`: the type that holds such a part by itself, or "".
    """

    what: str
    identity: tuple[str, ...] = ()
    owner: str = ""
    inline: tuple[str, ...] = ()
    separate: str = ""


_ROUTE = ("destination_cidr_block", "destination_ipv6_cidr_block", "destination_prefix_list_id")
_RULE = ("security_group_id", "type", "protocol", "from_port", "to_port", "cidr_blocks", "ipv6_cidr_blocks")

TRAFFIC = {
    "aws_route": Traffic(
        "a route to {destination_cidr_block|destination_ipv6_cidr_block|destination_prefix_list_id}",
        ("route_table_id", *_ROUTE),
        "route_table_id",
    ),
    "aws_route_table": Traffic("its routes", (), "vpc_id", ("route",), "aws_route"),
    "aws_default_route_table": Traffic("its routes", (), "vpc_id", ("route",), "aws_route"),
    "aws_route_table_association": Traffic("its route table", ("subnet_id", "gateway_id"), "subnet_id"),
    "aws_main_route_table_association": Traffic("its main route table", ("vpc_id",), "vpc_id"),
    "aws_internet_gateway": Traffic("a way to the internet", ("vpc_id",), "vpc_id"),
    "aws_nat_gateway": Traffic("a way out through NAT", ("allocation_id",), "subnet_id"),
    "aws_ec2_transit_gateway_route": Traffic(
        "a transit route to {destination_cidr_block}",
        ("transit_gateway_route_table_id", "destination_cidr_block"),
        "transit_gateway_route_table_id",
    ),
    "aws_ec2_transit_gateway_vpc_attachment": Traffic(
        "its way to the transit gateway", ("vpc_id", "transit_gateway_id"), "vpc_id"
    ),
    "aws_vpc_peering_connection": Traffic(
        "the peering with {peer_vpc_id}", ("vpc_id", "peer_vpc_id"), "vpc_id"
    ),
    "aws_security_group": Traffic(
        "the security group {name}",
        ("vpc_id", "name"),
        "vpc_id",
        ("ingress", "egress"),
        "aws_vpc_security_group_ingress_rule and _egress_rule",
    ),
    "aws_security_group_rule": Traffic(
        "the {type} rule for {protocol} ports {from_port}–{to_port}", _RULE, "security_group_id"
    ),
    "aws_vpc_security_group_ingress_rule": Traffic(
        "the rule that lets in {ip_protocol} on ports {from_port}–{to_port}",
        ("security_group_id", "ip_protocol", "from_port", "to_port", "cidr_ipv4", "cidr_ipv6"),
        "security_group_id",
    ),
    "aws_vpc_security_group_egress_rule": Traffic(
        "the rule that lets out {ip_protocol} to ports {from_port}–{to_port}",
        ("security_group_id", "ip_protocol", "from_port", "to_port", "cidr_ipv4", "cidr_ipv6"),
        "security_group_id",
    ),
    "aws_network_acl": Traffic(
        "its network ACL", (), "vpc_id", ("ingress", "egress"), "aws_network_acl_rule"
    ),
    "aws_network_acl_rule": Traffic(
        "rule {rule_number} of its network ACL",
        ("network_acl_id", "rule_number", "egress"),
        "network_acl_id",
    ),
    "aws_lb": Traffic("the load balancer {name}", ("name",)),
    "aws_alb": Traffic("the load balancer {name}", ("name",)),
    "aws_elb": Traffic("the load balancer {name}", ("name",), "", ("listener",)),
    "aws_lb_listener": Traffic(
        "a listener on port {port}", ("load_balancer_arn", "port"), "load_balancer_arn"
    ),
    "aws_alb_listener": Traffic(
        "a listener on port {port}", ("load_balancer_arn", "port"), "load_balancer_arn"
    ),
    "aws_lb_listener_rule": Traffic(
        "the listener's rule {priority}", ("listener_arn", "priority"), "listener_arn"
    ),
    "aws_lb_target_group": Traffic("the target group {name}", ("name",)),
    "aws_lb_target_group_attachment": Traffic(
        "its target {target_id}", ("target_group_arn", "target_id", "port"), "target_group_arn"
    ),
    "aws_route53_record": Traffic(
        "the DNS record {name} {type}", ("zone_id", "name", "type", "set_identifier"), "zone_id"
    ),
    "aws_route53_zone": Traffic("the DNS zone {name}"),
    "google_compute_route": Traffic("a route to {dest_range}", ("project", "name"), "network"),
    "google_compute_router_nat": Traffic(
        "a way out through NAT", ("project", "region", "router", "name"), "router"
    ),
    "google_compute_firewall": Traffic("the firewall rule {name}", ("project", "name"), "network"),
    "google_compute_forwarding_rule": Traffic(
        "the forwarding rule {name}", ("project", "region", "name"), ""
    ),
    "google_compute_global_forwarding_rule": Traffic("the forwarding rule {name}", ("project", "name")),
    "google_compute_url_map": Traffic("the URL map {name}", ("project", "name")),
    "google_compute_backend_service": Traffic("the backend service {name}", ("project", "name")),
    "google_dns_record_set": Traffic(
        "the DNS record {name} {type}", ("project", "managed_zone", "name", "type"), "managed_zone"
    ),
    "google_dns_managed_zone": Traffic("the DNS zone {dns_name}", ("project", "name")),
    "azurerm_route": Traffic(
        "a route to {address_prefix}", ("resource_group_name", "route_table_name", "name"), "route_table_name"
    ),
    "azurerm_route_table": Traffic(
        "its routes", ("resource_group_name", "name"), "", ("route",), "azurerm_route"
    ),
    "azurerm_subnet_route_table_association": Traffic("its route table", ("subnet_id",), "subnet_id"),
    "azurerm_network_security_group": Traffic(
        "the security group {name}",
        ("resource_group_name", "name"),
        "",
        ("security_rule",),
        "azurerm_network_security_rule",
    ),
    "azurerm_network_security_rule": Traffic(
        "the security rule {name}",
        ("resource_group_name", "network_security_group_name", "name"),
        "network_security_group_name",
    ),
    "azurerm_lb": Traffic("the load balancer {name}", ("resource_group_name", "name")),
    "azurerm_lb_rule": Traffic(
        "a listener on port {frontend_port}", ("loadbalancer_id", "name"), "loadbalancer_id"
    ),
    "azurerm_application_gateway": Traffic("the gateway {name}", ("resource_group_name", "name")),
    **{
        f"azurerm_{private}dns_{kind}_record": Traffic(
            "the DNS record {name}", ("resource_group_name", "zone_name", "name"), "zone_name"
        )
        for private in ("", "private_")
        for kind in ("a", "aaaa", "cname", "mx", "srv", "txt")
    },
    "cloudflare_record": Traffic("the DNS record {name} {type}", (), "zone_id"),
    "cloudflare_dns_record": Traffic("the DNS record {name} {type}", (), "zone_id"),
}
