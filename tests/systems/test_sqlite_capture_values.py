"""Capture keeps values, texts and names as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.systems.sqlite_capture import Captured

from lockstep.forms import keys
from lockstep.values import Table

Open = Callable[..., Captured]


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Open]:
    opened: list[Captured] = []

    def open_(ddl: str, table: Table, **options: Any) -> Captured:
        opened.append(Captured(tmp_path / f"{len(opened)}.db", ddl, table, **options))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def t(key: str = "id", joins: str = "j", name: str = "t") -> Table:
    return Table(name, (), tuple(key.split()), tuple(joins.split()))


NASTY: list[Any] = [
    0, -1, 2**53 + 1, -(2**63), 2**63 - 1, 0.1, -2.5, 1e300, 5e-324, math.inf, -math.inf, 1e23,
    "", " ", "a\0b", "\0", "'quoted'", "NULL", "12", "1e5", "é", "雪🎿", "\uffff", "x" * 5000,
    b"", b"\0\xff", b"text", b"\x80",
]  # fmt: skip


def test_values_keep_their_class(capture: Open) -> None:
    one = capture("CREATE TABLE t(id BLOB PRIMARY KEY, j BLOB)", t())
    for number, value in enumerate(NASTY):
        (hint,) = one.run("INSERT INTO t VALUES (?, ?)", value, NASTY[-number - 1])
        assert hint.key == keys.encode((value,))
        assert hint.after == {"j": keys.encode_one(NASTY[-number - 1])}
    assert len(one.run("UPDATE t SET j = NULL")) == len(NASTY)
    assert len(one.run("DELETE FROM t")) == len(NASTY)


def test_text_that_is_no_utf8_has_a_key_too(capture: Open) -> None:
    one = capture("CREATE TABLE t(id TEXT PRIMARY KEY, j)", t())
    one.app.execute("INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT), 1), ('fine', 2)")
    found = {hint.key for hint in one.catch()}
    assert keys.encode(("fine",)) in found
    assert len(found) == 2


def test_rows_copied_page_by_page(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j);
        CREATE TABLE twin(id INTEGER PRIMARY KEY, j);
        INSERT INTO twin VALUES (1, 1), (2, 2);
        """,
        t(),
    )
    assert one.keys("INSERT INTO t SELECT * FROM twin") == [(1,), (2,)]


def test_any_encoding_of_the_database(capture: Open) -> None:
    one = capture("CREATE TABLE t(id TEXT PRIMARY KEY, j)", t(), pragmas=["encoding = 'UTF-16le'"])
    for text in ("a", "é", "雪🎿", "a\0b"):
        assert one.keys("INSERT INTO t VALUES (?, 1)", text) == [(text,)]


def test_names_that_need_quotes(capture: Open) -> None:
    one = capture(
        """CREATE TABLE "the ""odd"" t"("the id" INTEGER PRIMARY KEY, "select" TEXT UNIQUE, [from] INT);""",
        Table('the "odd" t', (), ("the id",), ("select", "from")),
    )
    image = one.app.execute('INSERT INTO "the ""odd"" t" VALUES (1, \'a\', 2)')
    assert image.rowcount == 1
    (hint,) = one.catch()
    assert hint.after == {"select": keys.encode(("a",)), "from": keys.encode((2,))}
