"""What is sent to a search cluster, and how its reply is read. No server."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest

from lockstep.errors import DataError, DeclarationError, Refused, TargetReplaced
from lockstep.forms.keys import encode
from lockstep.systems.opensearch import OpenSearch, bulk, layout, mappings, wire
from lockstep.values import Change, Fingerprint, Meta, Outcome, Record, Status, version


def change(found: str, record: Record | None, mapping: str = "m") -> Change:
    return Change(
        encode((found,)), record, Meta(mapping, encode((7,)), Fingerprint(-5), 2**63 - 1, version(1, 2))
    )


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (10.0, "10.0"),  # not 10: a cluster that guesses types would make the field an integer
        (-0.0, "-0.0"),
        (Decimal("10.00"), "10.00"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (2**64, "18446744073709551616"),
        (-(10**40), "-1" + "0" * 40),
        (Level.HIGH, "3"),
        (True, "true"),
        (None, "null"),
        (
            dt.datetime(2026, 3, 8, 11, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            '"2026-03-08T09:30:00Z"',
        ),
        (dt.datetime(2026, 3, 8, 9, 30), '"2026-03-08T09:30:00"'),  # noqa: DTZ001 - in no zone
        (dt.date(2026, 3, 8), '"2026-03-08"'),
        (dt.timedelta(days=3, seconds=7.5), '"P3DT7.5S"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (b"\0\xff", '"AP8="'),
        ([1.0, (Decimal("2.50"), {"a": 3.0})], '[1.0,[2.50,{"a":3.0}]]'),
    ],
)
def test_values_keep_their_form(value: Any, sent: str) -> None:
    assert wire.encode({"a": value}).decode() == '{"a":' + sent + "}"


@pytest.mark.parametrize(
    "record",
    [
        {"a": float("nan")},
        {"a": [{"b": float("inf")}]},
        {"a": Decimal("NaN")},
        {"a": Decimal("1E+1000000")},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": object()},
        {"a": {1, 2}},
        {"_lockstep": 1},
    ],
    ids=["nan", "infinity", "decimal nan", "digits", "text", "name", "object", "set", "ours"],
)
def test_what_json_cannot_say_is_refused(record: Record) -> None:
    with pytest.raises(DataError) as refused:
        wire.encode(record)
    assert refused.value.remedy


@pytest.mark.parametrize("record", [{}, {"a": 1}, {"b": {}, "c": [None]}])
@pytest.mark.parametrize("found", ["7", 'a"b\n', "é\U0001f600", "a\0b"])
def test_an_item_is_two_lines_that_hold_everything(record: Record, found: str) -> None:
    one = bulk.item(0, change(found, record, 'a "mapping"'))
    action, document, nothing = one.lines.split(b"\n")
    assert nothing == b""
    wanted = {"_id": found, "version": version(1, 2), "version_type": "external_gte"}
    assert msgspec.json.decode(action) == {"index": wanted}
    source = wire.DECODER.decode(document)
    assert wire.split(found, source) == (record, change(found, None, 'a "mapping"').meta)
    assert bulk.key_of(found) == encode((found,))


def test_a_copy_under_another_id_is_not_ours() -> None:
    document = bulk.item(0, change("1", {"a": 1})).lines.split(b"\n")[1]
    assert wire.split("2", wire.DECODER.decode(document)) == ({"a": 1}, None)


@pytest.mark.parametrize("found", ["", "x" * 513, "é" * 257, "\ud800"], ids=["empty", "long", "wide", "half"])
def test_an_id_that_would_refuse_the_whole_request_is_never_sent(found: str) -> None:
    outcomes: list[Outcome | None] = [None, None]
    (request,) = bulk.requests([change(found, {}), change("b", {})], outcomes, 1000)
    assert [one.place for one in request] == [1]
    assert outcomes[0] is not None
    assert outcomes[0].status is Status.REJECTED


def test_requests_are_cut_by_bytes_in_order() -> None:
    changes = [change(str(n), {"a": "x" * (5000 if n == 3 else 100)}) for n in range(10)]
    outcomes: list[Outcome | None] = [None] * 10
    cut = list(bulk.requests(changes, outcomes, 1000))
    assert [one.place for request in cut for one in request] == list(range(10))
    assert [one.place for request in cut for one in request if len(request) == 1 and one.place == 3] == [3]
    for request in cut:
        assert len(request) == 1 or sum(len(one.lines) for one in request) <= 1000


def test_every_answer_has_its_outcome() -> None:
    request = [bulk.item(n, change(str(n), None if n in (1, 2) else {})) for n in range(7)]
    conflict = {"type": "version_conflict_engine_exception", "reason": "older"}
    cause = {"type": "illegal_argument_exception", "reason": 'For input string: "x"'}
    parsing = {
        "type": "mapper_parsing_exception",
        "reason": "failed to parse field [age]",
        "caused_by": cause,
    }
    busy = {"type": "rejected_execution_exception", "reason": "queue is full"}
    reply = {
        "errors": True,
        "items": [
            {"index": {"status": 201}},
            {"delete": {"status": 200}},
            {"delete": {"status": 404}},
            {"index": {"status": 409, "error": conflict}},
            {"index": {"status": 400, "error": parsing}},
            {"index": {"status": 429, "error": busy}},
            {"index": {"status": 500, "error": {"type": "null_pointer_exception", "reason": "none"}}},
        ],
    }
    outcomes = bulk.outcomes_of(request, msgspec.json.encode(reply), "i-g1")
    assert outcomes is not None
    assert [outcome.status.value for outcome in outcomes if isinstance(outcome, Outcome)] == (
        ["applied", "applied", "unchanged", "superseded", "rejected", "unknown"]
    )
    assert isinstance(outcomes[5], bulk.Busy)
    assert outcomes[4].reason == (
        'failed to parse field [age]: For input string: "x" (mapper_parsing_exception)'
    )
    assert "queue is full" in str(outcomes[5].reason)


@pytest.mark.parametrize("status", [200, 201])
def test_a_reply_that_all_is_written_is_known_without_taking_it_apart(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    request = [bulk.item(n, change(str(n), {})) for n in range(3)]
    answer = {"index": {"_index": "i-g1", "status": status}}

    def reply(*answers: object, errors: bool = False) -> bytes:
        return msgspec.json.encode({"errors": errors, "items": answers})

    monkeypatch.setattr(bulk, "_decode", lambda _: pytest.fail("taken apart"))
    assert bulk.outcomes_of(request, reply(answer, answer, answer), "i-g1") == [bulk.APPLIED] * 3
    monkeypatch.undo()
    elsewhere = {"index": {"_index": "i-g2", "status": status}}
    with pytest.raises(TargetReplaced):
        bulk.outcomes_of(request, reply(answer, answer, elsewhere), "i-g1")
    assert bulk.outcomes_of(request, reply(answer, answer), "i-g1") is None
    assert bulk.outcomes_of(request, reply(answer, answer, answer) + b" {}", "i-g1") is None
    deletes = [bulk.item(n, change(str(n), None)) for n in range(3)]
    assert bulk.outcomes_of(deletes, reply(answer, answer, answer), "i-g1") is None


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>Sign in</html>",
        b"[]",
        b"{}",
        b'{"errors":false}',
        b'{"errors":false,"items":[]}',
        b'{"errors":false,"items":[{"index":{"status":200}},{"index":{"status":200}}]}',
        b'{"errors":false,"items":[{"delete":{"status":200}}]}',
        b'{"errors":false,"items":[{"index":{}}]}',
        b'{"errors":false,"items":[{"index":{"status":20',
    ],
)
def test_what_is_no_reply_to_this_request_is_seen(reply: bytes) -> None:
    assert bulk.outcomes_of([bulk.item(0, change("1", {}))], reply, "i-g1") is None


def test_no_status_but_success_is_taken_for_success() -> None:
    for status in (100, 301, 404, 418):
        reply = msgspec.json.encode({"errors": False, "items": [{"index": {"status": status}}]})
        (outcome,) = bulk.outcomes_of([bulk.item(0, change("1", {}))], reply, "i-g1") or []
        assert isinstance(outcome, Outcome)
        assert outcome.status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("status", "kind", "reason", "error", "mend"),
    [
        (404, "index_not_found_exception", "no such index", TargetReplaced, "rebuild"),
        (400, "invalid_index_name_exception", "must be lowercase", TargetReplaced, "rebuild"),
        (
            403,
            "cluster_block_exception",
            "blocked by: [FORBIDDEN/8/index write (api)]",
            Refused,
            "blocks.write",
        ),
        (403, "security_exception", "no permissions", Refused, "privileges"),
        (400, "index_closed_exception", "closed", Refused, "_open"),
    ],
)
def test_trouble_of_the_index_is_not_blamed_on_a_record(
    status: int, kind: str, reason: str, error: type[Exception], mend: str
) -> None:
    answer = {"status": status, "error": {"type": kind, "reason": reason}}
    reply = msgspec.json.encode({"errors": True, "items": [{"index": answer}]})
    with pytest.raises(error) as raised:
        bulk.outcomes_of([bulk.item(0, change("1", {}))], reply, "i-g1")
    assert mend in getattr(raised.value, "remedy", "")


def test_secrets_of_a_url_are_not_printed() -> None:
    system = OpenSearch("https://me:p%40ss@search.example.com:9200/path/")
    assert system.url == "https://search.example.com:9200/path"
    assert "ss@" not in repr(system)
    assert "p%40ss" not in repr(system.index("users"))
    assert system.index("users").name == "opensearch:users"
    assert system.index("users", mappings={"a": 1}) != system.index("users")
    assert (
        len({system.index("users"), OpenSearch("https://search.example.com:9200/path").index("users")}) == 1
    )


def test_a_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_URL", "http://u:p@localhost:9200")
    assert OpenSearch.from_env("SEARCH_URL").url == "http://localhost:9200"
    with pytest.raises(DeclarationError, match="NO_SUCH_URL"):
        OpenSearch.from_env("NO_SUCH_URL")


@pytest.mark.parametrize("url", ["localhost:9200", "", "ftp://x", "http://", "http://x:port"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(DeclarationError):
        OpenSearch(url)


@pytest.mark.parametrize("name", ["", "Users", "a b", "_a", "-a", ".a", "a/b", "a*", "é" * 150])
def test_a_name_that_no_index_can_have(name: str) -> None:
    with pytest.raises(DeclarationError):
        OpenSearch("http://localhost:9200").index(name)


def test_keys_are_one_text() -> None:
    target = OpenSearch("http://localhost:9200").index("users")
    assert target.key((7,)) == target.key(("7",)) == encode(("7",))
    assert target.key((1, "a|b")) == encode(("1|a\\|b",))


def test_settings_have_one_name_each() -> None:
    nested = {
        "index": {"gc_deletes": "2h"},
        "number_of_shards": 1,
        "analysis": {"analyzer": {"a": {"type": "b"}}},
    }
    assert layout.flat_settings(nested) == {
        "index.gc_deletes": "2h",
        "index.number_of_shards": 1,
        "index.analysis.analyzer.a.type": "b",
    }


def test_conflicts_name_field_and_types() -> None:
    declared = {
        "properties": {
            "age": {"type": "keyword"},
            "new": {"type": "long"},
            "same": {"type": "text", "analyzer": "standard"},
            "company": {"properties": {"name": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}},
        }
    }
    live = {
        "properties": {
            "age": {"type": "long"},
            "same": {"type": "text"},
            "company": {"properties": {"name": {"type": "text", "fields": {"raw": {"type": "long"}}}}},
        }
    }
    assert mappings.conflicts(declared, live) == [
        mappings.Conflict("age", "type", "keyword", "long"),
        mappings.Conflict("company.name.raw", "type", "keyword", "long"),
    ]
