"""Saved states of the embedded index: what the laws do not say."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from tests.systems.tantivy_saved import elsewhere, fill, held, key, users, writer

from lockstep.systems.tantivy import Tantivy
from lockstep.systems.tantivy.target import TantivyTarget
from lockstep.systems.tantivy.writer import TantivyWriter
from lockstep.testing.writer_hooks import change, write
from lockstep.values import version

__all__ = ["elsewhere", "users", "writer"]


def test_merges_and_deletions_leave_saved_states_alone(users: TantivyTarget, writer: TantivyWriter) -> None:
    repository = users.repository()
    before = held(users, 1)
    repository.save(1, "early")
    for n in range(12):  # enough segments to be merged
        fill(writer, 100 + n * 5, 5, 2)
    write(writer, *(change(key(n), None, version(3, 1)) for n in range(50)))
    writer.close()
    assert repository.damage("early") is None
    repository.restore("early", 2, "r")
    assert held(users, 2) == before
    with closing(users.open(2)) as restored:
        fill(restored, 500, 5, 4)
        assert len(restored.scan(None, 1000)) == 55
    assert repository.damage("early") is None, "what is written to a restored build is not written to it"


def test_a_restored_build_is_not_searched_until_somebody_says_so(
    users: TantivyTarget, writer: TantivyWriter
) -> None:
    users.repository().save(1, "one")
    writer.close()
    shutil.rmtree(users._directory / "users-g1")
    (users._directory / "users.current").unlink()
    users.repository().restore("one", 2, "r")
    with closing(users.open(2)) as restored:
        fill(restored, 100, 1, 2)
    assert users.searched() is None
    users.point(2)
    assert len(users.search("user", 100)) == 51


def test_what_wipes_the_directory_leaves_what_brings_it_back(tmp_path: Path) -> None:
    target = Tantivy(tmp_path / "search").index("users")
    with closing(target.open(1)) as made:
        made.create("m")
        fill(made, 0, 5)
    before = held(target, 1)
    target.repository().save(1, "one")
    shutil.rmtree(tmp_path / "search")
    target.repository().restore("one", 2, "r")
    assert held(target, 2) == before


def test_saved_states_within_the_directory_are_still_read(tmp_path: Path) -> None:
    within = tmp_path / "search" / "snapshots"
    older = Tantivy(tmp_path / "search", snapshots=within).index("users")
    with closing(older.open(1)) as made:
        made.create("m")
        fill(made, 0, 5)
    older.repository().save(1, "old")
    target = Tantivy(tmp_path / "search").index("users")
    (finding,) = target.check()
    assert f"1 of its saved states lie in {within}" in finding.problem
    assert "search-snapshots" in finding.mend
    repository = target.repository()
    repository.save(1, "new")
    assert [one.name for one in repository.saved()] == ["old", "new"]
    assert repository.damage("old") is None
    repository.restore("old", 2, "r")
    assert held(target, 2) == held(target, 1)
    repository.forget("old")
    assert [one.name for one in repository.saved()] == ["new"]
    assert target.check() == []
    assert not (within / "users" / "new").exists()


def test_the_place_beside_a_directory_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for given, beside in (
        (".", tmp_path / "deep-snapshots"),
        ("..", tmp_path.with_name(f"{tmp_path.name}-snapshots")),
    ):
        assert Tantivy(given)._snapshots == beside
    assert Tantivy("search")._snapshots == Path("search-snapshots")
