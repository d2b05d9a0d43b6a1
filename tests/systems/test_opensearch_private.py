"""What needs an OpenSearch of its own: crashes, limits and full disks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from lockstep.errors import Unreachable
from lockstep.ports import Target
from lockstep.systems.opensearch import OpenSearch
from lockstep.testing.servers import OpenSearchHandle, OpenSearchServer
from lockstep.values import Change, Fingerprint, Meta, Status, version

KILOBYTE = "x" * 1024


@pytest.fixture(scope="module")
def server(opensearch_server: OpenSearchHandle) -> Iterator[OpenSearchServer]:
    """One that takes requests of at most a megabyte. The shared one says whether it can be had at all."""
    with OpenSearchServer(settings={"http.max_content_length": "1mb"}) as server:
        yield server


def change(target: Target, number: int, kilobytes: int = 1) -> Change:
    key = target.key((number,))
    record = {"number": number, "parts": [KILOBYTE] * kilobytes}
    return Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1)))


def test_a_request_above_the_servers_limit_is_cut_until_it_fits(server: OpenSearchServer) -> None:
    target = OpenSearch(server.url).index("limits", mappings={"dynamic": False})
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        sent = [change(target, n, 1500 if n == 5 else 200) for n in range(12)]
        outcomes = writer.write(sent)
        applied = [outcome.status is Status.APPLIED for outcome in outcomes]
        assert applied == [n != 5 for n in range(12)], outcomes
        assert outcomes[5].status is Status.REJECTED
        assert "15" in str(outcomes[5].reason)
        assert "bytes" in str(outcomes[5].reason)
        assert len(writer.scan(None, 20)) == 11


def test_applied_survives_a_crash(server: OpenSearchServer) -> None:
    target = OpenSearch(server.url).index("crash")
    with contextlib.closing(target.open(1)) as writer:
        before = writer.create("marker")
        sent = [change(target, n) for n in range(500)]
        assert {outcome.status for outcome in writer.write(sent)} == {Status.APPLIED}
        server.kill()
        with pytest.raises(Unreachable):
            writer.identity()
        with contextlib.suppress(Unreachable):
            assert {outcome.status for outcome in writer.write(sent[:3])} == {Status.UNKNOWN}
        server.start()
        after = writer.identity()
        assert after is not None
        assert after == before
        assert writer.contents().records == 500
        assert len(writer.read([one.key for one in sent])) == 500


def test_a_disk_that_is_filling_is_said_before_it_is_full(server: OpenSearchServer) -> None:
    target = OpenSearch(server.url).index("disks")
    prefix = "cluster.routing.allocation.disk"
    settings = {
        f"{prefix}.threshold_enabled": "true",
        f"{prefix}.watermark.low": "0.1%",
        f"{prefix}.watermark.high": "0.2%",
        f"{prefix}.watermark.flood_stage": "99.9%",
    }
    with httpx.Client(base_url=server.url) as real:
        real.put("/_cluster/settings", json={"transient": settings}).raise_for_status()
        found = [one for one in target.check() if "watermark" in one.problem]
        real.put("/_cluster/settings", json={"transient": dict.fromkeys(settings)}).raise_for_status()
    assert len(found) == 1
    assert not found[0].blocks
    assert "0.2%" in found[0].problem


def test_a_blocked_cluster_is_said(server: OpenSearchServer) -> None:
    target = OpenSearch(server.url).index("blocked")
    with httpx.Client(base_url=server.url) as real:
        block = {"cluster.blocks.read_only_allow_delete": True}
        real.put("/_cluster/settings", json={"transient": block}).raise_for_status()
        found = [one for one in target.check() if one.blocks]
        real.put("/_cluster/settings", json={"transient": dict.fromkeys(block)}).raise_for_status()
    assert ["cluster.blocks.read_only_allow_delete" in one.problem for one in found] == [True]
    assert [one for one in target.check() if one.blocks] == []
