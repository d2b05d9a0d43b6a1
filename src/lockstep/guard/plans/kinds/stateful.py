"""Types that hold data, and hosts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stateful:
    """A type that holds data.

    `loss`: what goes with it. `unsaved`: a field that, where true, drops the last copy too;
    `unsaved_words` says so.
    """

    loss: str
    unsaved: str = ""
    unsaved_words: str = ""


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
