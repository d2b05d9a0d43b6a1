"""Where Elasticsearch and OpenSearch differ, on real servers."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import Refused
from lockstep.systems.opensearch import Elasticsearch, OpenSearch, layout
from lockstep.testing.servers import SearchHandle
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version


@pytest.mark.parametrize("server", ["elasticsearch8_server", "elasticsearch9_server"])
def test_a_vector_comes_back_as_it_was_sent(server: str, request: pytest.FixtureRequest) -> None:
    """Elasticsearch 9.2 leaves vectors out of what it gives back unless told: a check would find every
    document different. Older versions do not know the setting that tells it."""
    handle: SearchHandle = request.getfixturevalue(server)
    fields = {"properties": {"place": {"type": "dense_vector", "dims": 3}}}
    target = Elasticsearch(handle.url).index(f"vectors-{uuid4().hex[:8]}", mappings=fields)
    key = target.key((1,))
    record = {"place": [1, 0.25, 3], "name": "Ada"}
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        sent = Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1)))
        assert writer.write([sent]) == [Outcome(Status.APPLIED)]
        assert writer.read([key])[key].record == record
        assert [held.record for held in writer.scan(None, 5)] == [record]
    httpx.delete(f"{handle.url}/{target.index}-g1", timeout=30)


def test_the_wrong_class_is_said_with_the_right_one(
    opensearch_server: SearchHandle, elasticsearch8_server: SearchHandle
) -> None:
    (finding,) = OpenSearch(elasticsearch8_server.url).index("users").check()
    assert finding.blocks
    assert "Elasticsearch 8" in finding.problem
    assert "ls.Elasticsearch(…)" in finding.mend
    (finding,) = Elasticsearch(opensearch_server.url).index("users").check()
    assert finding.blocks
    assert "OpenSearch 2" in finding.problem
    assert "ls.OpenSearch(…)" in finding.mend


@pytest.mark.parametrize(
    ("mappings", "settings"),
    [
        ({"_source": {"mode": "synthetic"}}, {}),
        ({}, {"index": {"mapping": {"source": {"mode": "synthetic"}}}}),
        ({}, {"mode": "logsdb"}),
        ({}, {"index.mode": "time_series"}),
        ({}, {"index.mapping.exclude_source_vectors": True}),
        ({}, {"index.derived_source.enabled": "true"}),
    ],
)
def test_an_index_that_gives_back_other_than_it_was_given_is_refused(
    elasticsearch9_server: SearchHandle, mappings: dict[str, Any], settings: dict[str, Any]
) -> None:
    name = f"sourceless-{uuid4().hex[:8]}"
    target = Elasticsearch(elasticsearch9_server.url).index(name, mappings=mappings, settings=settings)
    assert any(finding.problem == layout.SOURCE_NEEDED[0] for finding in target.check())
    with contextlib.closing(target.open(1)) as writer:
        with pytest.raises(Refused, match="could not be read back"):
            writer.create("marker")
        assert writer.identity() is None


def test_targets_of_both_kinds_have_names_of_their_own() -> None:
    names = {kind("http://localhost:9200").index("users").name for kind in (OpenSearch, Elasticsearch)}
    assert names == {"opensearch:users", "elasticsearch:users"}
    assert OpenSearch("http://localhost:9200") != Elasticsearch("http://localhost:9200")
