"""The one table of what types of resources mean: AWS, Google and Azure alike.

Rules read it and know no type.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Addressed:
    """A type that takes ranges of addresses out of a network.

    `network`: the fields that together say which network. `ranges`: fields with a range or a list of them;
    "a[].b" is field b of the elements of list a.
    """

    network: tuple[str, ...]
    ranges: tuple[str, ...]


@dataclass(frozen=True)
class Realm:
    """A type that gives a network its ranges. `identity`: the fields by which others name it, as above."""

    identity: tuple[str, ...]
    ranges: tuple[str, ...]
    whole: bool = False  # whether it names all ranges of the network; else more may have been added elsewhere


@dataclass(frozen=True)
class Peering:
    """A type that joins two networks, whose ranges must not overlap."""

    one: str
    other: str


@dataclass(frozen=True)
class Traffic:
    """A type that traffic depends on.

    `what`: what is missing without it; {field} is filled in. `identity`: fields of which the provider
    keeps only
    one at a time, so that a second cannot be created beside it. `owner`: the field that names what it
    belongs to.
    `inline`: lists of parts that are removed and added one by one where they change. `place`: who is
    without it.
    """

    what: str
    identity: tuple[str, ...] = ()
    owner: str = ""
    inline: tuple[str, ...] = ()
    separate: str = ""


@dataclass(frozen=True)
class Stateful:
    """A type that holds data. `loss`: what goes with it. `safety`.

    A field that, where true, drops the last copy.
    """

    loss: str
    unsaved: str = ""
    unsaved_words: str = ""


ADDRESSED = {
    "aws_subnet": Addressed(("vpc_id",), ("cidr_block", "ipv6_cidr_block")),
    "aws_default_subnet": Addressed(("vpc_id",), ("cidr_block", "ipv6_cidr_block")),
    "google_compute_subnetwork": Addressed(
        ("network",), ("ip_cidr_range", "secondary_ip_range[].ip_cidr_range")
    ),
    "azurerm_subnet": Addressed(("resource_group_name", "virtual_network_name"), ("address_prefixes[]",)),
}

REALMS = {
    "aws_vpc": Realm(("id",), ("cidr_block", "ipv6_cidr_block", "cidr_block_associations[].cidr_block")),
    "aws_default_vpc": Realm(("id",), ("cidr_block", "ipv6_cidr_block")),
    "aws_vpc_ipv4_cidr_block_association": Realm(("vpc_id",), ("cidr_block",)),
    "aws_vpc_ipv6_cidr_block_association": Realm(("vpc_id",), ("ipv6_cidr_block",)),
    "azurerm_virtual_network": Realm(("resource_group_name", "name"), ("address_space[]",), whole=True),
}

PEERINGS = {"aws_vpc_peering_connection": Peering("vpc_id", "peer_vpc_id")}

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
    "aws_elb": Traffic("the load balancer {name}", ("name",), "", ("listener",), "aws_lb_listener"),
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

_SNAPSHOT = ("skip_final_snapshot", "without a last snapshot")
_FORCED = ("force_destroy", "with everything in it, as force_destroy is set")

STATEFUL = {
    **dict.fromkeys(
        (
            "aws_db_instance",
            "aws_rds_cluster",
            "aws_docdb_cluster",
            "aws_neptune_cluster",
            "aws_redshift_cluster",
        ),
        Stateful("a database and its data", *_SNAPSHOT),
    ),
    **dict.fromkeys(
        (
            "aws_rds_cluster_instance",
            "aws_dynamodb_table",
            "aws_timestreamwrite_table",
            "aws_keyspaces_table",
            "google_sql_database_instance",
            "google_sql_database",
            "google_spanner_instance",
            "google_spanner_database",
            "google_bigtable_instance",
            "google_bigtable_table",
            "google_firestore_database",
            "google_alloydb_cluster",
            "google_bigquery_table",
            "google_bigquery_dataset",
            "azurerm_postgresql_server",
            "azurerm_postgresql_flexible_server",
            "azurerm_mysql_flexible_server",
            "azurerm_mssql_server",
            "azurerm_mssql_database",
            "azurerm_cosmosdb_account",
        ),
        Stateful("a database and its data"),
    ),
    **dict.fromkeys(
        (
            "aws_ebs_volume",
            "aws_efs_file_system",
            "aws_fsx_lustre_file_system",
            "aws_fsx_ontap_file_system",
            "google_compute_disk",
            "google_compute_region_disk",
            "google_filestore_instance",
            "azurerm_managed_disk",
            "azurerm_storage_share",
        ),
        Stateful("a volume and what is on it"),
    ),
    **dict.fromkeys(("aws_s3_bucket", "google_storage_bucket"), Stateful("a bucket", *_FORCED)),
    **dict.fromkeys(("azurerm_storage_account", "azurerm_storage_container"), Stateful("stored objects")),
    **dict.fromkeys(
        (
            "aws_opensearch_domain",
            "aws_elasticsearch_domain",
            "aws_opensearchserverless_collection",
            "aws_cloudsearch_domain",
            "azurerm_search_service",
            "ec_deployment",
            "elasticstack_elasticsearch_index",
            "opensearch_index",
        ),
        Stateful("a search cluster and every index in it"),
    ),
    **dict.fromkeys(
        (
            "aws_elasticache_cluster",
            "aws_elasticache_replication_group",
            "aws_memorydb_cluster",
            "google_redis_instance",
            "azurerm_redis_cache",
        ),
        Stateful("a store in memory, with all that it holds"),
    ),
    **dict.fromkeys(
        (
            "aws_kinesis_stream",
            "aws_msk_cluster",
            "aws_mq_broker",
            "aws_sqs_queue",
            "google_pubsub_topic",
            "google_pubsub_subscription",
            "azurerm_eventhub",
        ),
        Stateful("a queue and what nobody has read from it yet"),
    ),
    **dict.fromkeys(
        ("aws_kms_key", "google_kms_crypto_key", "azurerm_key_vault_key"),
        Stateful("a key, and everything that only it can decrypt"),
    ),
    **dict.fromkeys(
        (
            "aws_autoscaling_group",
            "google_compute_instance_group_manager",
            "azurerm_linux_virtual_machine_scale_set",
        ),
        Stateful("a whole group of hosts with their own disks"),
    ),
}

HOSTS = {
    "aws_instance": ("instance_type", "ephemeral_block_device"),
    "aws_spot_instance_request": ("instance_type", "ephemeral_block_device"),
    "google_compute_instance": ("machine_type", "scratch_disk"),
    "azurerm_linux_virtual_machine": ("size", ""),
    "azurerm_windows_virtual_machine": ("size", ""),
    "hcloud_server": ("server_type", ""),
    "digitalocean_droplet": ("size", ""),
    "openstack_compute_instance_v2": ("flavor_name", ""),
}
"""Hosts: the field that says what machine it is, and the list of disks that go with it."""
