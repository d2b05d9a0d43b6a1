"""Whether all of an index can be searched at this moment, shows what was acknowledged, and has answered."""

from __future__ import annotations

from typing import Any

from lockstep.errors import Refused, Unreachable
from lockstep.systems.opensearch import wire
from lockstep.systems.opensearch.client import Client

_WAIT = "10s"


class PartMissing(Unreachable):
    """A part of an index is not there. Asking again at once is no help: it was waited for."""


def assert_answering(client: Client, index: str, lest: str) -> None:
    """Waits a little for its shards, and refreshes it. Raises Refused where it is closed, PartMissing
    where a part of it is not there; `lest` says what must wait for it."""
    state = client.ask("GET", f"/_cluster/state/metadata/{index}?filter_path=metadata.indices.*.state") or {}
    if state.get("metadata", {}).get("indices", {}).get(index, {}).get("state") == "close":
        raise Refused(f"the index {index} is closed, so {lest}", f"Open it: POST /{index}/_open")
    status, answer = client.send(
        "GET", f"/_cluster/health/{index}?wait_for_status=yellow&timeout={_WAIT}", None
    )
    if status not in (200, 408):
        raise client.failure(status, answer)
    if client.parse(answer).get("status") == "red":
        raise PartMissing(
            f"the index {index} is red, a part of it is not there, so {lest}",
            "See GET /_cluster/allocation/explain.",
        )
    refreshed = client.ask("POST", f"/{index}/_refresh")
    if refreshed is not None and refreshed.get("_shards", {}).get("failed", 1):
        raise client.rubbish(repr(refreshed).encode())


def assert_whole(client: Client, answer: dict[str, Any]) -> None:
    """Raises Unreachable where a shard is missing in the answer to a search: one that did not answer is
    `failed`, one that is nowhere just now is only not among the `successful`."""
    shards = answer["_shards"]
    if answer.get("timed_out") or shards["failed"] or shards["successful"] < shards["total"]:
        raise client.failure(503, wire.plain({"error": shards}))
