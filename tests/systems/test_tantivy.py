"""The embedded search index: what the law does not say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.systems.killed import applied_before_the_kill

from lockstep.errors import DeclarationError, Refused, TargetReplaced, UsageError
from lockstep.forms.keys import encode
from lockstep.systems.tantivy import Tantivy
from lockstep.systems.tantivy.target import TantivyTarget
from lockstep.systems.tantivy.writer import TantivyWriter
from lockstep.values import Change, Fingerprint, Key, Meta, Record, Status, version

pytest.importorskip("tantivy")


def put(writer: TantivyWriter, records: dict[int, Record | None]) -> None:
    changes = []
    for number, record in records.items():
        key = encode((number,))
        changes.append(Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1))))
    assert {outcome.status for outcome in writer.write(changes)} == {Status.APPLIED}


@pytest.fixture
def users(tmp_path: Path) -> TantivyTarget:
    return Tantivy(tmp_path / "search").index("users")


@pytest.fixture
def writer(users: TantivyTarget) -> Iterator[TantivyWriter]:
    with closing(users.open(1)) as writer:
        writer.create("m")
        yield writer


ADA: Record = {
    "name": "Ada Lovelace",
    "company": {"name": "Acme Engines", "size": 12},
    "tags": ["first", {"label": "poet"}],
    "paid": Decimal("19.90"),
}


@pytest.mark.parametrize(
    "query",
    [
        "lovelace",
        "poet",
        "company.name:acme",
        'company.name:"acme engines"',
        "company.size:12",
        "tags.label:poet",
    ],
)
def test_everything_is_searchable_without_declaring_it(
    users: TantivyTarget, writer: TantivyWriter, query: str
) -> None:
    put(writer, {7: ADA, 8: {"name": "Charles", "company": {"name": "Difference"}}})
    ((score, key, record),) = users.search(query)
    assert score > 0
    assert (key, record) == ("7", ADA)


def test_declared_fields(tmp_path: Path) -> None:
    target = Tantivy(tmp_path).index("users", fields={"email": "exact", "company.name": "text"})
    with closing(target.open(1)) as writer:
        writer.create("m")
        put(writer, {1: {"email": "Ada@x.org", "company": {"name": "Acme Inc", "code": "zz"}, "name": "Ada"}})
        for query in ('email:"Ada@x.org"', "company.name:acme", "ada", "zz"):
            assert len(target.search(query)) == 1, query
        for query in ("email:ada", "company.code:zz", "name:ada"):
            assert target.search(query) == [], query
    assert target.check() == []
    (finding,) = Tantivy(tmp_path).index("users").check()
    assert not finding.blocks
    with pytest.raises(DeclarationError, match="declared 'keyword'"):
        Tantivy(tmp_path).index("users", fields={"email": "keyword"})


def test_a_query_that_cannot_be_understood(users: TantivyTarget, writer: TantivyWriter) -> None:
    with pytest.raises(UsageError, match="cannot be understood"):
        users.search('name:"')


def test_the_pointer_names_the_generation_that_is_searched(
    users: TantivyTarget, writer: TantivyWriter
) -> None:
    put(writer, {1: {"name": "old"}})
    with closing(users.open(2)) as second:
        second.create("second")
        put(second, {1: {"name": "new"}})
        assert (users.searched(), len(users.search("old"))) == (1, 1)
        users.point(2)
        assert (users.searched(), len(users.search("old")), len(users.search("new"))) == (2, 0, 1)
    with pytest.raises(TargetReplaced):
        users.point(3)


def test_names_that_are_no_directory() -> None:
    for name in ("", "../users", "a/b", ".hidden"):
        with pytest.raises(DeclarationError):
            Tantivy("search").index(name)


def test_a_second_writer_is_refused_and_readers_are_not(users: TantivyTarget, writer: TantivyWriter) -> None:
    put(writer, {1: ADA})
    with closing(users.open(1)) as second:
        assert len(second.scan(None, 10)) == 1
        with pytest.raises(Refused, match="another process writes"):
            put(second, {2: ADA})
    put(writer, {2: ADA})


def test_another_process_reads_what_was_committed(
    users: TantivyTarget, writer: TantivyWriter, tmp_path: Path
) -> None:
    body = """
import sys
from lockstep.systems.tantivy import Tantivy
writer = Tantivy("search").index("users").open(1)
for _ in sys.stdin:
    print(len(writer.scan(None, 100)), flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", body], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(1, 4):
            put(writer, {number: ADA})
            process.stdin.write("\n")
            process.stdin.flush()
            assert int(process.stdout.readline()) == number


def test_a_damaged_index_is_said(users: TantivyTarget, writer: TantivyWriter, tmp_path: Path) -> None:
    put(writer, {1: ADA})
    writer.close()
    (tmp_path / "search" / "users-g1" / "meta.json").write_text("{")
    with closing(users.open(1)) as again:
        for ask in (again.contents, lambda: again.read([encode((1,))])):
            with pytest.raises(Refused, match="is damaged"):
                ask()
    (finding,) = users.check()
    assert "damaged" in finding.problem
    assert finding.blocks


def test_a_directory_in_the_way_is_refused(users: TantivyTarget, tmp_path: Path) -> None:
    (tmp_path / "search" / "users-g1").mkdir(parents=True)
    with closing(users.open(1)) as writer:
        assert writer.identity() is None
        with pytest.raises(Refused, match="already"):
            writer.create("m")
    assert [path.name for path in (tmp_path / "search").iterdir()] == ["users-g1"]


def test_a_key_longer_than_a_term_is_rejected(writer: TantivyWriter) -> None:
    key = Key(b"0" + b"k" * 40_000 + b"\0")
    (outcome,) = writer.write([Change(key, ADA, Meta("m", key, Fingerprint(1), 1, version(1, 1)))])
    assert outcome.status is Status.REJECTED


def test_numbers_in_key_order(writer: TantivyWriter) -> None:
    numbers = [-300, -1, 0, 1, 2, 9, 10, 255, 256, 70_000, 2**40]
    put(writer, {number: {"n": number} for number in reversed(numbers)})
    assert [held.record["n"] for held in writer.scan(None, 100)] == numbers
    assert [held.record["n"] for held in writer.scan(encode((9,)), 2)] == [10, 255]


def test_what_was_applied_survives_a_kill(
    users: TantivyTarget, writer: TantivyWriter, tmp_path: Path
) -> None:
    writer.close()
    source = "from lockstep.systems.tantivy import Tantivy; Tantivy('search').index('users')"
    batches = applied_before_the_kill(source, tmp_path)
    keys = [encode((number,)) for number in range(10, batches * 10 + 10)]
    with closing(users.open(1)) as again:
        assert set(keys) <= set(again.read(keys))
        put(again, {1: ADA})  # the lock died with its process


def test_a_commit_that_fails_says_what_the_system_said(
    writer: TantivyWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, {1: {"a": 1}})
    opening = writer._open

    def wiped_then() -> Any:
        found = opening()
        shutil.rmtree(tmp_path / "search" / "users-g1")
        return found

    monkeypatch.setattr(writer, "_open", wiped_then)
    key = encode((2,))
    (outcome,) = writer.write([Change(key, {"a": 2}, Meta("m", key, Fingerprint(1), 1, version(1, 1)))])
    assert outcome.status is Status.UNKNOWN
    assert str(outcome.reason).endswith(
        "did not commit: Failed to open file for write: No such file or directory"
    )
