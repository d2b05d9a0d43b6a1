"""Writing to a real OpenSearch: what its law does not say already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import Refused, TargetReplaced, Unreachable
from lockstep.ports import EstimatingWriter, SummingWriter, Target, Writer
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.systems.opensearch.layout import Layout, body
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Change, Fingerprint, Key, Meta, Record, Status, Tally, Version, version


@pytest.fixture
def real(opensearch_server: OpenSearchHandle) -> Iterator[httpx.Client]:
    """The server past Lockstep."""
    with httpx.Client(base_url=opensearch_server.url, timeout=30) as client:
        yield client


@pytest.fixture
def target(real: httpx.Client, opensearch_server: OpenSearchHandle) -> Iterator[SearchIndex]:
    name = f"writer-{uuid4().hex[:12]}"
    settings = {"number_of_replicas": 0}
    fields = {"age": {"type": "integer"}, "company": {"properties": {"since": {"type": "date"}}}}
    yield OpenSearch(opensearch_server.url).index(name, mappings={"properties": fields}, settings=settings)
    real.delete(f"/{name},{name}-g1,{name}-g2,{name}-other?ignore_unavailable=true")


@pytest.fixture
def writer(target: SearchIndex) -> Iterator[Writer]:
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        yield writer


def change(target: Target, found: str, record: Record | None, at: Version | None = None) -> Change:
    key = target.key((found,))
    return Change(key, record, Meta("m", key, Fingerprint(1), 2, at or version(1, 1)))


def indices(real: httpx.Client, target: SearchIndex) -> list[str]:
    found = real.get(f"/_cat/indices/{target.index}*?format=json&expand_wildcards=all").json()
    return sorted(one["index"] for one in found)


def test_an_index_of_an_earlier_version_gets_the_fields_that_it_lacks(
    real: httpx.Client, target: SearchIndex
) -> None:
    """Its `_lockstep` is strict, and had the whole fingerprint in one field."""
    names = Layout(target.index, 1)
    made = body(names, "marker", {}, {"number_of_replicas": "0"}, searched=True)
    fields = dict(made["mappings"]["properties"]["_lockstep"]["properties"])
    del fields["high"], fields["low"]
    fields["fingerprint"] = {"type": "long", "index": False}
    made["mappings"]["properties"]["_lockstep"] = {"dynamic": "strict", "properties": fields}
    assert real.put(f"/{names.index}", json=made).status_code == 200
    beside = {"id": "a", "mapping": "m", "key": "2a", "fingerprint": -3, "sum": 2, "version": 1}
    document = {"age": 1, "_lockstep": beside}
    real.put(f"/{names.index}/_doc/a?version=1&version_type=external_gte&refresh=true", json=document)
    with contextlib.closing(target.open(1)) as writer:
        found = writer.identity()
        assert found is not None
        assert found.marker == "marker"
        held = {one.key: one.meta for one in writer.scan(None, 10)}
        meta = held[target.key(("a",))]
        assert meta is not None
        assert (meta.fingerprint, meta.version) == (-3, 1)
        (outcome,) = writer.write([change(target, "b", {"age": 2})])
        assert outcome.status is Status.APPLIED, outcome
        assert isinstance(writer, SummingWriter)
        assert writer.sums("m", []).spans == [Tally(2, 1)], "what was written before adds nothing"
        (again,) = writer.write([change(target, "a", {"age": 1})])
        assert again.status is Status.APPLIED
        assert writer.sums("m", []).spans == [Tally(2, 2)]


def test_the_server_is_one_that_creates_what_a_write_names(real: httpx.Client) -> None:
    """Else the tests below prove nothing. Shows the trap: require_alias does not hold for such deletes."""
    said = real.get("/_cluster/settings?include_defaults=true&flat_settings=true").json()
    assert said["defaults"]["action.auto_create_index"] == "true"
    name = f"trap-{uuid4().hex[:12]}"
    line = '{"delete":{"_id":"1","version":1,"version_type":"external_gte"}}\n'
    headers = {"content-type": "application/x-ndjson"}
    real.post(f"/{name}/_bulk?require_alias=true", content=line, headers=headers).raise_for_status()
    assert real.delete(f"/{name}").status_code == 200, "it was created by a delete"


@pytest.mark.parametrize("records", [{"age": 1}, None], ids=["index", "delete"])
@pytest.mark.parametrize("removed", ["index", "alias"])
def test_what_was_removed_behind_our_back_is_not_made_again(
    target: SearchIndex, writer: Writer, real: httpx.Client, records: Record | None, removed: str
) -> None:
    assert writer.write([change(target, "1", {"age": 1})])[0].status is Status.APPLIED
    index = f"{target.index}-g1"
    real.delete(f"/{index}" if removed == "index" else f"/{index}/_alias/{index}-WRITE").raise_for_status()
    for changes in (
        [change(target, "2", records)],
        [change(target, "2", records), change(target, "3", None)],
    ):
        with pytest.raises(TargetReplaced) as raised:
            writer.write(changes)
        assert raised.value.remedy
    assert indices(real, target) == ([] if removed == "index" else [index])
    if removed == "index":
        with pytest.raises(TargetReplaced):
            writer.scan(None, 5)
        with pytest.raises(TargetReplaced):
            writer.read([target.key(("1",))])


def test_an_estimate_shows_removals_at_once_and_may_be_refused(
    target: SearchIndex, writer: Writer, real: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed by another, and not refreshed: no search has seen it."""
    assert isinstance(writer, EstimatingWriter)
    writer.write([change(target, str(number), {"age": number}) for number in range(40)])
    before = writer.estimate()
    real.post(f"/{target.index}-g1/_refresh").raise_for_status()
    found = real.get(f"/{target.index}-g1/_search?size=30&_source=false").json()["hits"]["hits"]
    lines = "".join(f'{{"delete":{{"_id":"{hit["_id"]}"}}}}\n' for hit in found)
    head = {"content-type": "application/x-ndjson"}
    real.post(f"/{target.index}-g1/_bulk", content=lines, headers=head).raise_for_status()
    after = writer.estimate()
    assert before is not None
    assert after is not None
    assert (len(found), after.removed - before.removed) == (30, 30)

    def refused(*_: object, **__: object) -> None:
        raise Refused("no privilege monitor", "")

    monkeypatch.setattr("lockstep.systems.opensearch.client.Client.ask", refused)
    assert writer.estimate() is None, "then it is counted"


def test_applications_search_the_alias(target: SearchIndex, writer: Writer, real: httpx.Client) -> None:
    writer.write([change(target, "1", {"age": 7})])
    real.post(f"/{target.index}/_refresh").raise_for_status()
    (hit,) = real.get(f"/{target.index}/_search?q=age:7").json()["hits"]["hits"]
    assert hit["_id"] == "1"
    assert hit["_source"]["_lockstep"]["key"] == target.key(("1",)).hex()
    settings = real.get(f"/{target.index}/_settings?flat_settings=true").json()[f"{target.index}-g1"][
        "settings"
    ]
    assert settings["index.gc_deletes"] == "1h"


def test_a_second_generation_is_built_beside(target: SearchIndex, writer: Writer, real: httpx.Client) -> None:
    with contextlib.closing(target.open(2)) as second:
        second.create("second")
    assert list(real.get(f"/_alias/{target.index}").json()) == [f"{target.index}-g1"]


@pytest.mark.parametrize("taken", ["index", "alias", "physical"])
def test_a_name_that_is_taken_is_refused(target: SearchIndex, real: httpx.Client, taken: str) -> None:
    if taken == "index":
        real.put(f"/{target.index}").raise_for_status()
    elif taken == "physical":
        real.put(f"/{target.index}-g1").raise_for_status()
    else:
        real.put(f"/{target.index}-other", json={"aliases": {target.index: {}}}).raise_for_status()
    before = indices(real, target)
    with contextlib.closing(target.open(1)) as writer:
        with pytest.raises(Refused) as raised:
            writer.create("marker")
        assert "DELETE /" in raised.value.remedy
    assert indices(real, target) == before
    (finding,) = [one for one in target.check() if one.blocks]
    assert "DELETE /" in finding.mend


def test_an_old_write_after_a_delete_does_not_resurrect(target: SearchIndex, writer: Writer) -> None:
    writer.write([change(target, "1", {"age": 1}, version(1, 1))])
    (gone,) = writer.write([change(target, "1", None, version(1, 5))])
    (old,) = writer.write([change(target, "1", {"age": 1}, version(1, 4))])
    assert (gone.status, old.status) == (Status.APPLIED, Status.SUPERSEDED)
    assert "version conflict" in str(old.reason)
    (never,) = writer.write([change(target, "2", None, version(1, 5))])
    assert never.status is Status.UNCHANGED


def test_a_rejected_document_names_the_field(target: SearchIndex, writer: Writer) -> None:
    outcomes = writer.write(
        [
            change(target, "1", {"age": 1}),
            change(target, "2", {"age": "old"}),
            change(target, "3", {"company": {"since": "yesterday"}}),
            change(target, "4", {"company": 5}),
            change(target, "5", {"_id": 5}),
            change(target, "6", {"_lockstep": {}}),
            change(target, "7", {"age": float("nan")}),
            change(target, "8", {"age": 8}),
        ]
    )
    assert [outcome.status is Status.APPLIED for outcome in outcomes] == [True, *[False] * 6, True]
    assert {outcome.status for outcome in outcomes[1:7]} == {Status.REJECTED}
    for outcome, said in zip(
        outcomes[1:7], ("[age]", "[company.since]", "[company]", "_id", "_lockstep", "nan"), strict=True
    ):
        assert said in str(outcome.reason)
    assert len(writer.scan(None, 10)) == 2


def test_numbers_come_back_exactly(target: SearchIndex, writer: Writer) -> None:
    record: dict[str, Any] = {
        "price": Decimal("12345678901234.123456789"),
        "scale": Decimal("10.00"),
        "large": 2**62 + 1,
        "object": {},
        "list": [],
        "text": "",
    }
    writer.write([change(target, "1", record)])
    (scanned,) = writer.scan(None, 5)
    for held in (scanned, writer.read([scanned.key])[scanned.key]):
        assert {name: repr(value) for name, value in held.record.items()} == {
            name: repr(value) for name, value in record.items()
        }


def test_a_float_does_not_become_an_integer_field(
    target: SearchIndex, writer: Writer, real: httpx.Client
) -> None:
    writer.write([change(target, "1", {"ratio": 10.0})])
    writer.write([change(target, "2", {"ratio": 10.5})])
    fields = real.get(f"/{target.index}-g1/_mapping").json()[f"{target.index}-g1"]["mappings"]["properties"]
    assert fields["ratio"]["type"] == "float"


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_a_blocked_index_blames_no_record(
    target: SearchIndex, writer: Writer, real: httpx.Client, block: str
) -> None:
    path = f"/{target.index}-g1/_settings"
    real.put(path, json={f"index.blocks.{block}": True}).raise_for_status()
    with pytest.raises((Refused, Unreachable)) as raised:
        writer.write([change(target, "1", {"age": 1})])
    assert f'PUT {path} {{"index.blocks.{block}": null}}' in raised.value.remedy
    (finding,) = [one for one in target.check() if one.blocks]
    assert f'PUT {path} {{"index.blocks.{block}": null}}' in finding.mend
    real.put(path, json={f"index.blocks.{block}": None}).raise_for_status()
    assert writer.write([change(target, "1", {"age": 1})])[0].status is Status.APPLIED


def test_a_source_that_is_not_kept_is_refused(opensearch_server: OpenSearchHandle) -> None:
    target = OpenSearch(opensearch_server.url).index("nosource", mappings={"_source": {"enabled": False}})
    with contextlib.closing(target.open(1)) as writer, pytest.raises(Refused, match="_source"):
        writer.create("marker")
    assert any("_source" in one.problem and one.blocks for one in target.check())


def test_the_identity_is_another_after_a_rebuild(
    target: SearchIndex, writer: Writer, real: httpx.Client
) -> None:
    before = writer.identity()
    real.delete(f"/{target.index}-g1").raise_for_status()
    after = writer.create("marker")
    assert before is not None
    assert (before.system, before.marker) == (after.system, after.marker)
    assert before.target != after.target


def test_keys_in_one_request_stay_in_order(target: SearchIndex, writer: Writer) -> None:
    changes = [change(target, "1", {"age": n}, version(1, n + 1)) for n in range(20)]
    assert {outcome.status for outcome in writer.write(changes)} == {Status.APPLIED}
    assert writer.read([target.key(("1",))])[target.key(("1",))].record == {"age": 19}
    assert writer.read([Key(b"\x30\xed\xa0\x80\x00"), target.key(("",))]) == {}


def test_asking_who_it_is_refreshes_nothing(target: SearchIndex, writer: Writer, real: httpx.Client) -> None:
    """It is asked every few seconds; a refresh each time would cut a load into many small segments."""

    def refreshes() -> int:
        found = real.get(f"/{target.index}-g1/_stats/refresh").json()
        return int(found["_all"]["primaries"]["refresh"]["external_total"])

    writer.write([change(target, "1", {"age": 1})])
    before = refreshes()
    assert writer.identity() is not None
    assert refreshes() == before
    assert writer.contents().records == 1
    assert refreshes() > before
