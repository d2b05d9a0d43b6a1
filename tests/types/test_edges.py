"""What is large, altered, strangely named or many: carried, or stuck with the reason."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import lockstep as ls
from lockstep.forms import keys
from lockstep.ports import Target
from lockstep.values import Fetch
from tests.systems.postgres_db import Db
from tests.types import rows


class Edge:
    """One table of a database, handed on to a target as it is."""

    def __init__(self, root: Path, db: Db, target: Target) -> None:
        _, module = rows.models(db.source.catalog())
        sys.modules[module.__name__] = module  # where annotations are looked up, once
        (model,) = [one for one in vars(module).values() if hasattr(one, "__table__") and one is not ls.Model]
        self.pipeline, self.target = ls.Pipeline("edges", state=root / "state"), target
        self.pipeline.mapping(db.source, to=target, name="all", version="1")(rows.handing_on(model))
        del sys.modules[module.__name__]

    def run(self) -> None:
        assert ls.run(self.pipeline, once=True).stopped == {}

    def held(self) -> dict[Any, dict[str, Any]]:
        writer = self.target.open(1)
        found = {
            keys.decode(one.meta.key)[0]: dict(one.record) for one in writer.scan(None, 1000) if one.meta
        }
        writer.close()
        return found

    def stuck(self) -> dict[Any, str]:
        return {keys.decode(one.key)[0]: one.error for one in ls.stuck(self.pipeline, "all")}


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url) as made:
        yield made


@pytest.fixture
def index(opensearch_server: Any) -> Iterator[str]:
    name = f"edges_{uuid.uuid4().hex[:8]}"
    yield name
    httpx.delete(f"{opensearch_server.url}/{name}*", timeout=30)


SMALL = "INSERT INTO x SELECT n FROM generate_series(100, 110) n"


def test_what_a_search_field_refuses_is_one_stuck_key(
    db: Db, tmp_path: Path, index: str, opensearch_server: Any
) -> None:
    db.execute(
        "CREATE TABLE x(id int PRIMARY KEY, word text, free text, at timestamptz, big bytea)",
        "INSERT INTO x VALUES (1, repeat('w', 32767)), (3, repeat('w', 32766))",
        "INSERT INTO x(id, at) VALUES (2, 'infinity'), (4, '294276-12-31 00:00+00'), (5, '0044-03-15 BC')",
        "INSERT INTO x(id, free) VALUES (6, repeat('w', 1000000))",
        "INSERT INTO x(id, big) SELECT 7, decode(repeat('00ff27', 3500000), 'hex')",
        SMALL,
    )
    mappings = {
        "properties": {"word": {"type": "keyword"}, "at": {"type": "date"}, "big": {"type": "binary"}}
    }
    settings = {"number_of_replicas": 0}
    target = ls.OpenSearch(opensearch_server.url).index(index, settings=settings, mappings=mappings)
    edge = Edge(tmp_path, db, target)
    edge.run()
    stuck = edge.stuck()
    assert "immense term" in stuck.pop(1) or "32766" in edge.stuck()[1]
    assert "failed to parse field [at]" in stuck.pop(2)
    assert stuck == {}
    held = edge.held()
    assert held.keys() == {3, 4, 5, 6, 7, *range(100, 111)}
    assert (len(held[6]["free"]), len(held[7]["big"])) == (1_000_000, 14_000_000)
    db.execute("UPDATE x SET word = 'short', at = now() WHERE id IN (1, 2)")
    edge.run()
    assert edge.stuck() == {}
    assert ls.verify(edge.pipeline, "all", method="deep").agreement


def test_large_values_in_embedded_targets_and_toast(db: Db, tmp_path: Path) -> None:
    """An update of another column leaves a large value alone, which the log then does not have."""
    db.execute(
        "CREATE TABLE x(id int PRIMARY KEY, t text, b bytea, j jsonb, n int,"
        " m int GENERATED ALWAYS AS (n * 2) STORED, i int GENERATED ALWAYS AS IDENTITY)",
        "ALTER TABLE x ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL",
        "INSERT INTO x VALUES (1, repeat('w', 1000000), decode(repeat('00ff', 100000), 'hex'),"
        " jsonb_build_object('a', repeat('x', 100000)), 1)",
    )
    if db.ask("SHOW server_version_num") >= "180000":
        db.execute("ALTER TABLE x ADD v int GENERATED ALWAYS AS (n * 3) VIRTUAL")
    edge = Edge(tmp_path, db, ls.Tantivy(tmp_path / "index").index("x"))
    edge.run()
    before = edge.held()[1]
    db.execute("UPDATE x SET n = 2")
    edge.run()
    after = edge.held()[1]
    assert after == {**before, "n": 2, "m": 4, **({"v": 6} if "v" in before else {})}
    assert len(after["t"]) == 1_000_000
    assert ls.verify(edge.pipeline, "all", method="deep").agreement


def test_types_that_are_altered_meanwhile(db: Db, tmp_path: Path) -> None:
    db.execute(
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TABLE x(id int PRIMARY KEY, m mood, p pair)",
        "INSERT INTO x VALUES (1, 'sad', ROW(1, 'x'))",
    )
    columns = {"id": "INTEGER", "m": "TEXT", "p": "JSON"}
    edge = Edge(tmp_path, db, ls.SQLite(tmp_path / "out.db").table("x", columns=columns))
    edge.run()
    reader, wanted = db.reader(), Fetch("public.x", ("p",), ("id",))
    with reader.snapshot() as snapshot:
        assert snapshot.rows(wanted, [(1,)]) == [({"a": 1, "b": "x"},)]
    db.execute(
        "ALTER TYPE mood ADD VALUE 'ok'",
        "ALTER TYPE pair ADD ATTRIBUTE c date",
        "ALTER TYPE pair RENAME ATTRIBUTE a TO first",
        "INSERT INTO x VALUES (2, 'ok', ROW(2, 'y', 'infinity'))",
    )
    with reader.snapshot() as snapshot:  # a reader that knew the type before
        assert snapshot.rows(wanted, [(1,)]) == [({"first": 1, "b": "x", "c": None},)]
    edge.run()
    assert edge.held()[2] == {"id": 2, "m": "ok", "p": {"first": 2, "b": "y", "c": "infinity"}}
    assert edge.stuck() == {}


def test_many_columns_and_strange_names(db: Db, tmp_path: Path) -> None:
    """1,600 columns, as many as a table can have; names of 63 bytes, reserved, quoted, in other letters."""
    names = ["select", 'a "b".c', "É", "ü" * 31 + "x", "A", "a", "line\nbreak", "%s {} :x ?"]
    listed = ", ".join('"' + name.replace('"', '""') + '" int DEFAULT 7' for name in names)
    more = ", ".join(f"c{n} bool DEFAULT true" for n in range(1600 - 1 - len(names)))
    db.execute(
        'CREATE SCHEMA "Sch.ema"',
        'CREATE TYPE "Sch.ema"."M ood" AS ENUM (\'x\')',
        f'CREATE TABLE "Sch.ema"."User ""Tab""" (id "Sch.ema"."M ood" PRIMARY KEY, {listed}, {more})',
        'INSERT INTO "Sch.ema"."User ""Tab""" (id) VALUES (\'x\')',
    )
    edge = Edge(tmp_path, db, ls.Tantivy(tmp_path / "index").index("x"))
    edge.run()
    (record,) = edge.held().values()
    assert len(record) == 1600
    assert sum(value == 7 for value in record.values() if value is not True) == len(names)
    db.execute('UPDATE "Sch.ema"."User ""Tab""" SET "select" = 8')
    edge.run()
    (record,) = edge.held().values()
    assert sorted(value for value in record.values() if type(value) is int) == [7] * (len(names) - 1) + [8]
    assert ls.verify(edge.pipeline, "all", method="deep").agreement
