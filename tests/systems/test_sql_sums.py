"""SQL targets whose keys are of every type find their rows in the companion; or say that they cannot."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from lockstep.errors import CannotSum
from lockstep.systems.postgres import Postgres
from lockstep.systems.sql import totals
from lockstep.systems.sql.target import SQLTarget
from lockstep.systems.sqlite import SQLite
from lockstep.testing.writer_hooks import write
from lockstep.values import EVERYTHING, Change, Fingerprint, Key, Meta, Span, Tally, version

_EDGES = sorted(
    {sign * (1 << bits) + by for bits in range(8, 63, 8) for sign in (1, -1) for by in (-1, 0, 1)}
)
WHOLE = [0, 1, -1, *_EDGES, (1 << 62) + 5, (1 << 63) - 1, -(1 << 63)]
TEXTS = ["", "a", "a b", "ä", "雪", "'\"\\%s:x", "A", "z" * 300]
UUIDS = [UUID(int=0), UUID(int=(1 << 128) - 1), UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")]
KEYS: dict[str, tuple[dict[str, str], Sequence[tuple[Any, ...]]]] = {
    "bigint": ({"id": "BIGINT"}, [(n,) for n in WHOLE]),
    "integer": ({"id": "INTEGER"}, [(n,) for n in WHOLE if -(1 << 31) <= n < 1 << 31]),
    "text": ({"id": "TEXT"}, [(text,) for text in TEXTS]),
    "varchar": ({"id": "VARCHAR(400)"}, [(text,) for text in TEXTS]),
    "uuid": ({"id": "UUID"}, [(one,) for one in UUIDS]),
    "composite": (
        {"order": "TEXT", "Nº %": "BIGINT"},
        [(text, n) for text in TEXTS for n in (0, 1, -300, 1 << 40)],
    ),
}


@contextlib.contextmanager
def _summed(target: SQLTarget, values: Sequence[tuple[Any, ...]]) -> Iterator[None]:
    with contextlib.closing(target.open(1)) as writer:
        writer.create("sums")
        keys = [target.key(one) for one in values]
        changes = [
            Change(key, {"v": n}, Meta("m", Key(key), Fingerprint(n + 1), 0, version(1, 1)))
            for n, key in enumerate(keys)
        ]
        write(writer, *changes)
        count = len(keys)
        assert writer.sums("m", []).spans == [Tally(count, count * (count + 1) // 2)]
        cut = sorted(keys)[count // 2]
        assert [one.records for one in writer.sums("m", [cut]).spans] == [
            count // 2 + 1,
            count - count // 2 - 1,
        ]
        with writer._marked.moment() as connection:
            rows = writer._marked.rows(connection)
            given = connection, writer._dialect, rows, writer._own
            made = totals._only_hash(*given)
            assert made is not None
            said = totals._written(connection, writer._own, "m", sorted(keys), EVERYTHING, made)
            assert said is not None
            assert said.alike
            cuts = sorted(keys)
            assert totals._found(connection, rows, made, cuts, EVERYTHING) == (said.held, True), "one order"
            low, high = len(cuts) // 3, 2 * len(cuts) // 3
            part = cuts[low + 1 : high], Span(cuts[low], cuts[high])
            inside = totals._written(connection, writer._own, "m", *part, made)
            assert inside is not None
            assert inside.held == said.held[low + 1 : high + 1]
            assert totals._found(connection, rows, made, *part) == (inside.held, True), "one order"
        assert {mark.key for page in writer.marks("m", EVERYTHING) for mark in page} == set(keys)
        assert writer.strangers(["m"], 10) == (0, [])
        assert writer.strangers(["other"], count) == (count, sorted(keys))
        yield


@pytest.mark.parametrize("kind", KEYS)
def test_rows_of_a_sqlite_table_are_found(tmp_path: Path, kind: str) -> None:
    columns, values = KEYS[kind]
    target = SQLite(tmp_path / "a.db").table("t", key=tuple(columns), columns={**columns, "v": "INTEGER"})
    with _summed(target, values):
        pass


@pytest.mark.parametrize("kind", KEYS)
def test_rows_of_a_postgres_table_are_found(postgres_url: str, kind: str) -> None:
    columns, values = KEYS[kind]
    target = Postgres(postgres_url).table("t", key=tuple(columns), columns={**columns, "v": "integer"})
    with _summed(target, values):
        pass


def test_a_domain_is_as_its_base(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE DOMAIN number AS integer CHECK (value > 0)")
        connection.execute("CREATE TABLE t (id number PRIMARY KEY, v integer)")
    with _summed(Postgres(postgres_url).table("t"), [(n,) for n in (1, 255, 256, 70_000)]):
        pass


def test_a_key_that_postgres_makes_no_bytes_of_is_said(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", columns={"id": "date", "v": "integer"})
    with contextlib.closing(target.open(1)) as writer:
        writer.create("sums")
        key = target.key((dt.date(2026, 11, 25),))
        write(writer, Change(key, {"v": 1}, Meta("m", key, Fingerprint(5), 0, version(1, 1))))
        assert writer.sums("m", []).spans == [Tally(1, 5)], "rows of one form are not joined by their keys"
        other = target.key((dt.date(2026, 11, 26),))
        write(writer, Change(other, {}, Meta("m", other, Fingerprint(6), 0, version(1, 1))))
        with pytest.raises(CannotSum, match="date"):
            writer.sums("m", [])
        with pytest.raises(CannotSum, match="date"):
            writer.strangers(["m"], 5)
        assert [mark.key for page in writer.marks("m", EVERYTHING) for mark in page] == [key, other]
