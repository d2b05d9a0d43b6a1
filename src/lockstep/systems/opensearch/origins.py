"""From which saved state the shards of an index come, as far as the cluster still remembers it."""

from __future__ import annotations

from typing import Any

from lockstep.systems.opensearch.client import Client


def primaries(client: Client, index: str) -> list[dict[str, Any]]:
    """The primary shards as the cluster's routing has them, none where there is no such index."""
    path = f"/_cluster/state/routing_table/{index}?filter_path=routing_table.indices.*.shards"
    said = client.ask("GET", path) or {}
    shards = said.get("routing_table", {}).get("indices", {}).get(index, {}).get("shards", {})
    return [one for copies in shards.values() for one in copies if one.get("primary")]


def snapshots_of(client: Client, index: str) -> set[str | None]:
    """The snapshots that its primaries were or are being made from; None among them for one of which nobody
    knows, empty where there is no such index."""
    path = f"/{index}/_recovery?filter_path=*.shards.id,*.shards.primary,*.shards.source.snapshot"
    recovered = (client.ask("GET", path) or {}).get(index, {}).get("shards", [])
    known = {one.get("id"): one.get("source", {}).get("snapshot") for one in recovered if one.get("primary")}
    found: set[str | None] = set()
    for one in primaries(client, index):
        waiting = one.get("recovery_source", {}).get("snapshot")
        found.add(waiting or known.get(one.get("shard")))
    return found
