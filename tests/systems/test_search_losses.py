"""What search indices say that they would refuse, or see as another value, is what they then do when it is
written: all of it is written to the real server, and what it indexed is read from its doc values."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.world import World

import lockstep as ls
from lockstep.systems.opensearch import Elasticsearch, OpenSearch, SearchIndex
from lockstep.testing.servers import SearchHandle
from lockstep.values import Change, Fingerprint, Meta, Record, Status, version

AT = dt.datetime(2026, 3, 8, 9, 30, 0, 123456, tzinfo=dt.UTC)
WIDE = Decimal("12345678901234567.89")
LONG = "é" * 16_384  # 32,768 bytes
REFUSED, UNSEEN = object(), object()
Case = tuple[dict[str, Any], Any, Any]
"""A field, a value, and its fate: seen as it is (None), as another value, UNSEEN or REFUSED."""

NO_COERCE = {"coerce": False}
FORGIVING = {"ignore_malformed": True}
B = {"properties": {"b": {"type": "long"}}}


def of(kind: str, *cases: tuple[Any, Any], **parameters: Any) -> list[Case]:
    return [({"type": kind, **parameters}, value, fate) for value, fate in cases]


CASES: list[Case] = [
    *of("long", (1, None), (Decimal("1.5"), 1), (Decimal("-1.5"), -1), (1 << 63, REFUSED), ("12", None)),
    *of("long", ((1 << 63) - 1, None), ("1.5", 1), ("", UNSEEN), ("abc", REFUSED), (True, REFUSED)),
    *of("long", ([1, 2], None), ([[1], [None, 2]], None), ([1, "x"], REFUSED), ({"a": 1}, REFUSED)),
    *of("long", (Decimal("1E+400"), REFUSED), (10.0, None), (None, None), ([], None), ("1e2", None)),
    *of("long", (Decimal("1.5"), REFUSED), (Decimal("1.0"), None), ("12", REFUSED), (1, None), **NO_COERCE),
    *of("long", ("abc", UNSEEN), (1 << 63, UNSEEN), (True, UNSEEN), **FORGIVING),
    *of("long", (Decimal("1.5"), None), ("abc", REFUSED), index=False, doc_values=False),
    *of("long", (Decimal("1.5"), 1), index=False),
    *of("integer", (1 << 31, REFUSED), ((1 << 31) - 1, None), (Decimal("1.5"), 1)),
    *of("short", (40_000, REFUSED), (32_767, None)),
    *of("byte", (200, REFUSED), (-128, None)),
    *of("double", (Decimal("19.9"), None), (WIDE, Decimal("12345678901234568")), (0.1, None)),
    *of("double", ((1 << 53) + 1, 1 << 53), (Decimal("1E+400"), REFUSED), ("NaN", None), ("1.5", None)),
    *of("double", (Decimal("1E+39"), None), ("", UNSEEN), (10**1100, REFUSED), (1e-50, None)),
    *of("double", (Decimal("1E+400"), UNSEEN), **FORGIVING),
    *of("float", (Decimal("19.9"), None), (Decimal("12345678.91"), 12345679), (16_777_217, 16_777_216)),
    *of("float", (Decimal("1E+39"), REFUSED), (1e-50, 0), (Decimal("1234567.25"), None)),
    *of("half_float", (Decimal("19.9"), None), (Decimal("0.1234567"), Decimal("0.12347412109375"))),
    *of("half_float", (65_504, None), (65_536, REFUSED)),
    *of("boolean", (True, None), ("true", None), ("", False), ("yes", REFUSED), (1, REFUSED), ({}, REFUSED)),
    *of("keyword", ("a", None), (5, None), (Decimal("1.50"), None), (LONG, REFUSED), (LONG[1:], None)),
    *of("keyword", ({"a": 1}, REFUSED), ("", None), (True, None)),
    *of("keyword", ("abc", None), ("abcd", UNSEEN), (12345, UNSEEN), ignore_above=3),
    *of("keyword", ("😀a", None), ("😀abc", UNSEEN), ignore_above=3),
    *of("keyword", (LONG, REFUSED), index=False),
    *of("keyword", (LONG, REFUSED), doc_values=False),
    *of("keyword", (LONG, None), index=False, doc_values=False),
    *of("keyword", ("ABC", None), normalizer="lowercase"),
    *of("text", (LONG, None), (5, None), ({"a": 1}, REFUSED)),
    *of("text", (LONG, REFUSED), analyzer="keyword"),
    *of("text", (LONG, REFUSED), ("short", None), fields={"raw": {"type": "keyword"}}),
    *of("text", (LONG, None), fields={"raw": {"type": "keyword", "ignore_above": 256}}),
    *of("keyword", ("abc", REFUSED), ("12", None), copy_to="number"),
    *of("date", (AT, "2026-03-08T09:30:00.123Z"), (AT.replace(microsecond=123000), None), (AT.date(), None)),
    *of("date", (AT.replace(tzinfo=None, microsecond=0), None), ("infinity", REFUSED), ("", REFUSED)),
    *of("date", ("-0044-03-15", None), ("10000-01-01", REFUSED), (dt.time(9, 30), REFUSED), (True, REFUSED)),
    *of("date", (1_700_000_000_000, None), (Decimal("1.5"), "1970-01-01T00:00:00.001Z")),
    *of("date", ("2026-02-30", REFUSED)),
    *of("date", ("2026-03-08 09:30:00", REFUSED), ("2026-03-08T24:00:00", REFUSED), ("2026/03/08", REFUSED)),
    *of("date", ("1969-12-31T23:59:59.9999+02:00", "1969-12-31T21:59:59.999Z"), ("2026-03", None)),
    *of("date", (dt.timedelta(days=3), REFUSED), ({"a": 1}, REFUSED), (dt.date(1600, 2, 29), None)),
    *of("date", ("abc", UNSEEN), **FORGIVING),
    *of("date", (AT.date(), None), (AT, REFUSED), (1_700_000_000, REFUSED), format="yyyy-MM-dd"),
    *of("date", (1_700_000_000, None), (Decimal("1700000000.5"), None), format="epoch_second"),
    *of("date", (AT.date(), REFUSED), format="epoch_second"),
    *of("date", ("20260308", None), format="basic_date"),
    *of("date_nanos", (AT, None), (dt.date(1969, 12, 31), REFUSED), (dt.date(2263, 1, 1), REFUSED)),
    *of("ip", ("10.0.0.1", None), ("::1", None), ("10.0.0.0/24", REFUSED), ("abc", REFUSED), (1, REFUSED)),
    *of("ip", ("abc", UNSEEN), **FORGIVING),
    *of("object", ({"a": 1}, None), (1, REFUSED), ([{"a": 1}, {"a": 2}], None), ([{"a": 1}, 2], REFUSED)),
    *of("object", ({"a": 1}, None), (1, None), enabled=False),
    *of("object", ({"a": 1}, REFUSED), ({"a": None}, REFUSED), ({"b": 1}, None), dynamic="strict", **B),
    *of("object", ({"a": 1}, UNSEEN), ({"b": 1}, None), dynamic=False, **B),
    *of("nested", ({"a": 1}, None), ([{"a": 1}], None), ("x", REFUSED)),
    *of("alias", (1, REFUSED), path="number"),
    *of("binary", (b"abc", None)),
]  # fmt: skip
SCALED: list[Case] = [
    *of("scaled_float", (Decimal("19.905"), Decimal("19.91")), (Decimal("19.9"), None), scaling_factor=100),
    *of("scaled_float", (Decimal("-19.905"), Decimal("-19.90")), ("abc", REFUSED), scaling_factor=100),
    *of("scaled_float", (Decimal("1E+17"), Decimal("92233720368547758.07")), scaling_factor=100),
]
OPENSEARCH: list[Case] = [
    *of("unsigned_long", (1 << 63, None), (1 << 64, REFUSED), (-1, REFUSED), (Decimal("1.5"), 1)),
    *of("flat_object", ({"a": 1}, None), ("x", REFUSED)),
]
ELASTICSEARCH: list[Case] = [
    *of("boolean", ("abc", UNSEEN), **FORGIVING),
    *of("flattened", ({"a": 1}, None), ("x", REFUSED)),
]

GROWING: list[list[tuple[Any, Any]]] = [
    [(1, None), (Decimal("1.5"), 1), ("abc", REFUSED), ("12", None), (True, REFUSED), (1 << 63, REFUSED)],
    [(Decimal("12345678.91"), 12345679), (1, None)],
    [(Decimal("1E+39"), REFUSED), ("abc", None), (5, None), ({"a": 1}, REFUSED)],
    [(1 << 63, REFUSED)],
    [(AT, "2026-03-08T09:30:00.123Z"), ("abc", REFUSED)],
    [("2026/03/08", None), (AT.date(), REFUSED)],
    [("2026/03/08 10:00:00", None)],
    [("2026", None), ("abc", None)],
    [("2026-03", None), ("abc", REFUSED)],
    [("2026-02-30", None), ("abc", None)],
    [("2026-03-08 09:30:00", None), ("abc", None)],
    [("-0044-03-15", None), ("abc", REFUSED)],
    [("10.0.0.1", None), ("abc", None)],
    [(LONG, None)],
    [({"a": 1}, None), ("abc", REFUSED), ({"a": {"b": 1}}, REFUSED), ({"a": "x"}, REFUSED)],
    [([1, Decimal("1.5")], REFUSED), (["2026-03-08", "abc"], REFUSED), (["a", "b"], None)],
    [([{"a": 1}, {"a": Decimal("1.5")}], REFUSED), ([{"a": 1}, {"b": 1.5}], None)],
    [(True, None), ("abc", REFUSED), (1, REFUSED)],
    [(None, None), ([], None), (1.5, None)],
    [({"a.b": 1}, None), ({"a": 1}, REFUSED), ({"a": {"b": 2}}, None)],
    [({"a": 1, "a.b": 1}, REFUSED), ({"": 1}, REFUSED), ({"a..b": 1}, REFUSED), ({".a": 1}, REFUSED)],
    [({"a.": 1}, None)],
]  # fmt: skip
"""Values that one new field is given, one document after another."""

MORE = {
    "opensearch_server": SCALED + OPENSEARCH,
    "opensearch3_server": OPENSEARCH,
    "elasticsearch8_server": ELASTICSEARCH,
    "elasticsearch9_server": ELASTICSEARCH,
}
"""What a server's distribution has beside."""


@pytest.fixture(params=MORE)
def cluster(request: pytest.FixtureRequest) -> OpenSearch | Elasticsearch:
    handle: SearchHandle = request.getfixturevalue(request.param)
    return (OpenSearch if request.param.startswith("open") else Elasticsearch)(handle.url)


@contextlib.contextmanager
def written(target: SearchIndex, records: list[Record], fields: list[str]) -> Iterator[list[Any]]:
    """For each record: REFUSED, or what its doc values hold, by field."""
    url, index = target.system.url, f"{target.index}-g1"
    keys = [target.key((n,)) for n in range(len(records))]
    with contextlib.closing(target.open(1)) as writer:
        writer.create("m")
        outcomes = writer.write(
            [
                Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1)))
                for key, record in zip(keys, records, strict=True)
            ]
        )
        sources = {key: held.record for key, held in writer.read(keys).items()}
    httpx.post(f"{url}/{index}/_refresh", timeout=60)
    asked = {"size": 1000, "_source": False, "docvalue_fields": fields}
    answer = httpx.post(f"{url}/{index}/_search", json=asked, timeout=60).json()
    seen = {hit["_id"]: hit.get("fields", {}) for hit in answer["hits"]["hits"]}
    try:
        found: list[Any] = []
        for n, outcome in enumerate(outcomes):
            refused = outcome.status is Status.REJECTED
            assert refused or (outcome.status is Status.APPLIED and keys[n] in sources), outcome
            found.append(REFUSED if refused else seen[str(n)])
        yield found
    finally:
        httpx.delete(f"{url}/{index}", timeout=60)


def foretold(target: SearchIndex, records: list[Record]) -> list[Any]:
    fates: list[Any] = [None] * len(records)
    for loss in target.losses(records):
        fates[loss.place] = (
            REFUSED if loss.refused is not None else UNSEEN if loss.held is None else loss.held
        )
        assert loss.kept is (loss.refused is None)
    return fates


def same(fate: Any, seen: list[Any] | None) -> bool:
    """Whether the doc values are as they were foretold."""
    if fate is UNSEEN or not seen:
        return fate is UNSEEN and not seen
    if isinstance(fate, int | Decimal) and not isinstance(fate, bool):
        return abs(float(fate) - float(seen[0])) <= abs(float(fate)) * 1e-12
    return bool(fate == seen[0])


def test_what_is_foretold_of_declared_fields_is_what_becomes_of_them(
    cluster: OpenSearch | Elasticsearch, request: pytest.FixtureRequest
) -> None:
    cases = CASES + MORE[request.node.callspec.params["cluster"]]
    properties = {f"f{n}": field for n, (field, _, _) in enumerate(cases)}
    name = f"losses-{uuid4().hex[:8]}"
    settings = {
        "number_of_shards": 1,
        "number_of_replicas": 0,
        "max_docvalue_fields_search": 1000,
        "mapping": {"total_fields": {"limit": 2000}},
    }
    mappings = {"properties": {**properties, "number": {"type": "long"}}}
    target = cluster.index(name, mappings=mappings, settings=settings)
    records: list[Record] = [{f"f{n}": value} for n, (_, value, _) in enumerate(cases)]
    before = foretold(target, records)
    fielded = [f"f{n}" for n, (_, _, fate) in enumerate(cases) if fate not in (None, REFUSED)]
    fielded.remove(next(f"f{n}" for n, case in enumerate(cases) if case[0].get("dynamic") is False))
    with written(target, records, fielded) as facts:
        after = foretold(target, records)
        wrong = []
        for n, (field, value, fate) in enumerate(cases):
            fact = facts[n] if facts[n] is REFUSED else facts[n].get(f"f{n}")
            right = (fact is REFUSED) == (fate is REFUSED)
            if fate not in (None, REFUSED) and right:
                right = same(fate, fact)
            if value == "NaN":  # of which nothing is claimed
                right = True
            if not right or before[n] != fate or after[n] != fate:
                wrong.append((field, str(value)[:40], fate, before[n], after[n], fact))
        assert wrong == [], "\n".join(map(str, wrong))


def test_what_is_foretold_of_new_fields_is_what_becomes_of_them(
    cluster: OpenSearch | Elasticsearch,
) -> None:
    name = f"growing-{uuid4().hex[:8]}"
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "max_docvalue_fields_search": 1000}
    target = cluster.index(name, settings=settings)
    cases = [(n, value, fate) for n, values in enumerate(GROWING) for value, fate in values]
    records: list[Record] = [{f"f{n}": value} for n, value, _ in cases]
    before = foretold(target, records)
    fielded = list({f"f{n}" for n, _, fate in cases if fate not in (None, REFUSED)})
    with written(target, records, fielded) as facts:
        wrong = []
        for place, (n, value, fate) in enumerate(cases):
            fact = facts[place] if facts[place] is REFUSED else facts[place].get(f"f{n}")
            right = (fact is REFUSED) == (fate is REFUSED)
            if fate not in (None, REFUSED) and right:
                right = same(fate, fact)
            if not right or before[place] != fate:
                wrong.append((n, str(value)[:40], fate, before[place], fact))
        assert wrong == [], "\n".join(map(str, wrong))


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str


class Customer(ls.Model, table="users"):
    id: int = ls.key()
    email: str = ls.personal("email")


@pytest.mark.parametrize("model", [User, Customer])
def test_check_says_it_and_shows_nothing_personal(
    opensearch_server: SearchHandle, tmp_path: Path, model: type[ls.Model]
) -> None:
    world = World(tmp_path, claims=False)
    world.do("INSERT INTO users VALUES (1, NULL, NULL, 'anna@example.com', 1), (2, NULL, NULL, 'bo', 2)")
    pipeline = ls.Pipeline("lossy", state=tmp_path / "state")

    def people(user):  # type: ignore[no-untyped-def]
        return {"id": user.id, "email": user.email, "as_number": user.email, "total": Decimal("12345678.91")}

    people.__annotations__["user"] = model
    name = f"people-{uuid4().hex[:8]}"
    fields = {"email": {"type": "keyword", "ignore_above": 4}, "as_number": {"type": "long"}}
    to = ls.OpenSearch(opensearch_server.url).index(name, mappings={"properties": fields})
    pipeline.mapping(ls.SQLite(world.app), to=to, name="people", version="1")(people)
    said = {one.problem: one for one in ls.check(pipeline) if one.subject == "people"}
    secret = model is Customer
    anna = "a personal str of 16 characters, not shown" if secret else '"anna@example.com"'
    of = f"of opensearch:{name} is"
    assert list(said) == [
        f"as_number {of} long, which refuses what 2 of 2 sampled records have there: {anna}: it is no number",
        f"email {of} keyword (ignore_above 4), which loses what 1 of 2 sampled records has there: "
        f"{anna} would not be seen by searches",
        f"total {of} float, which loses what 2 of 2 sampled records have there: "
        f"12345678.91 would be searched as 12345679",
    ]
    assert [one.blocks for one in said.values()] == [True, False, False]
    assert httpx.get(f"{opensearch_server.url}/{name}-g1", timeout=30).status_code == 404, "it writes nothing"


def test_an_index_is_judged_as_it_is_and_one_to_be_with_the_templates_it_would_get(
    opensearch_server: SearchHandle,
) -> None:
    """A live index has the fields it has; one that is not there yet gets those of matching templates too."""
    name = f"templated-{uuid4().hex[:8]}"
    template = {
        "index_patterns": [f"{name}-g*"],
        "template": {
            "settings": {"index.mapping.coerce": False},
            "mappings": {"properties": {"v": {"type": "long"}, "w": {"type": "byte"}}},
        },
    }
    place = f"{opensearch_server.url}/_index_template/{name}"
    assert httpx.put(place, json=template, timeout=30).status_code == 200
    target = OpenSearch(opensearch_server.url).index(
        name, mappings={"properties": {"w": {"type": "keyword"}}}
    )
    try:
        assert foretold(target, [{"v": "12"}, {"v": 12, "w": "abc"}]) == [REFUSED, None]
        with written(target, [{"v": "12"}, {"v": 12, "w": "abc"}], []) as facts:
            assert [fact is REFUSED for fact in facts] == [True, False]
            other = OpenSearch(opensearch_server.url).index(
                name, mappings={"properties": {"v": {"type": "ip"}}}
            )
            assert foretold(other, [{"v": "12"}, {"v": 12, "w": "abc"}]) == [REFUSED, None]
    finally:
        httpx.delete(place, timeout=30)


@pytest.mark.parametrize(
    ("mappings", "record", "fate"),
    [
        ({"dynamic": "strict"}, {"new": 1}, REFUSED),
        ({"dynamic": "strict"}, {"new": None}, REFUSED),
        ({"dynamic": False}, {"new": 1}, UNSEEN),
        ({"date_detection": False}, {"new": AT}, None),
        ({"dynamic_templates": [{"t": {"match_mapping_type": "double", "mapping": {"type": "double"}}}]},
         {"new": Decimal("12345678.91")}, None),
        ({"dynamic_templates": [{"t": {"match": "n*", "mapping": {"type": "ip"}}}]}, {"new": "abc"}, REFUSED),
        ({"dynamic_templates": [{"t": {"match": "x*", "mapping": {"type": "ip"}}}]}, {"new": "abc"}, None),
        ({"dynamic_templates": [{"t": {"path_match": "a.*", "mapping": {"type": "byte"}}}]},
         {"a": {"b": 200}}, REFUSED),
    ],
)  # fmt: skip
def test_what_a_mapping_says_of_new_fields(
    cluster: OpenSearch | Elasticsearch, mappings: dict[str, Any], record: Record, fate: Any
) -> None:
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    target = cluster.index(f"dynamic-{uuid4().hex[:8]}", mappings=mappings, settings=settings)
    # Lockstep's own field is an object of the mapping itself, so a strict one takes it.
    assert foretold(target, [record]) == [fate]
    with written(target, [record], ["new"] if fate is UNSEEN else []) as (fact,):
        assert (fact is REFUSED) == (fate is REFUSED)
        assert fate is not UNSEEN or fact == {}
