"""Saved states of the embedded index when disks, processes and rights fail."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.damage import HARMS, flip
from tests.support.stopped import stopped_at_each_step
from tests.systems.tantivy_saved import archive, elsewhere, fill, held, key, users, writer, writer_closed

from lockstep.errors import Refused
from lockstep.systems.saved.durable import staged
from lockstep.systems.tantivy import Tantivy
from lockstep.systems.tantivy.target import TantivyTarget
from lockstep.systems.tantivy.writer import TantivyWriter
from lockstep.testing.writer_hooks import change, write
from lockstep.values import version

__all__ = ["elsewhere", "users", "writer", "writer_closed"]


def test_what_a_saved_state_before_has_takes_no_room_again(
    users: TantivyTarget, writer: TantivyWriter
) -> None:
    repository = users.repository()
    repository.save(1, "one")
    fill(writer, 100, 5)
    repository.save(1, "two")
    place = archive(users)
    both = {file.name for file in (place / "one").glob("*.store")}
    assert both
    for name in both:
        assert (place / "one" / name).samefile(place / "two" / name)
    repository.forget("one")
    assert repository.damage("two") is None


def test_damage_is_not_handed_on_to_the_next_saved_state(elsewhere: Path, tmp_path: Path) -> None:
    users = Tantivy(tmp_path / "search", snapshots=elsewhere).index("users")
    with closing(users.open(1)) as writer:
        writer.create("m")
        fill(writer, 0, 50)
    repository = users.repository()
    repository.save(1, "one")
    flip(next((archive(users) / "one").glob("*.store")))
    repository.save(1, "two")
    assert repository.damage("one")
    assert repository.damage("two") is None


def test_a_saved_state_that_lacks_files_does_not_keep_others_from_being_saved(
    users: TantivyTarget, writer: TantivyWriter
) -> None:
    repository = users.repository()
    repository.save(1, "one")
    for file in (archive(users) / "one").glob("*.store"):
        file.unlink()
    repository.save(1, "two")
    assert repository.damage("one")
    assert repository.damage("two") is None


@pytest.mark.parametrize("harm", HARMS)
def test_damage_to_any_file_is_seen_and_nothing_is_restored(
    elsewhere: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    users = Tantivy(tmp_path / "search", snapshots=elsewhere).index("users")
    with closing(users.open(1)) as writer:
        writer.create("m")
        fill(writer, 0, 50)
        write(writer, change(key(3), None, version(2, 1)))
    repository = users.repository()
    repository.save(1, "whole")
    place = archive(users)
    files = sorted((place / "whole").iterdir())
    assert {"manifest.json", "meta.json", ".managed.json"} < {file.name for file in files}
    for n, file in enumerate(files):
        shutil.copytree(place / "whole", place / f"copy-{n}")
        harm(place / f"copy-{n}" / file.name)
        assert repository.damage(f"copy-{n}"), file.name
        with pytest.raises(Refused) as refused:
            repository.restore(f"copy-{n}", 2, "r")
        assert refused.value.remedy
        repository.forget(f"copy-{n}")
        assert not (place / f"copy-{n}").exists()
    assert repository.damage("whole") is None
    assert sorted(entry.name for entry in (tmp_path / "search").iterdir()) == ["users-g1", "users.current"]


def test_no_room_is_said_and_leaves_nothing(elsewhere: Path, tmp_path: Path) -> None:
    users = Tantivy(tmp_path / "search", snapshots=elsewhere).index("users")
    with closing(users.open(1)) as writer:
        writer.create("m")
        fill(writer, 0, 1000)
    repository = users.repository()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(Refused, match="no room") as refused:
            repository.save(1, "big")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Free space" in refused.value.remedy
    assert [entry.name for entry in archive(users).iterdir()] == ["lockstep.json"]
    assert repository.saved() == []
    repository.save(1, "big")
    assert repository.damage("big") is None


def test_a_save_killed_at_any_step_is_whole_or_not_there(tmp_path: Path, writer_closed: str) -> None:
    users = Tantivy(tmp_path / "search").index("users")
    repository, before = users.repository(), held(users, 1)
    steps = 0
    for n in stopped_at_each_step(writer_closed, "save(1, 'at-{n}')", "users"):
        steps = n
        assert {one.name for one in repository.saved()} <= {f"at-{n}"}
        if n % 2:
            repository.save(1, f"at-{n}")
            assert repository.damage(f"at-{n}") is None
            repository.restore(f"at-{n}", 2, "r")
            assert held(users, 2) == before
            users.remove(2, "r")
        repository.forget(f"at-{n}")
        left = [entry.name for entry in (tmp_path / "search-snapshots").glob("users/*")]
        assert all("lockstep.json" in name for name in left), left
    assert steps > 15


def test_a_restore_killed_at_any_step_is_brought_to_its_end(tmp_path: Path, writer_closed: str) -> None:
    users = Tantivy(tmp_path / "search").index("users")
    repository, before = users.repository(), held(users, 1)
    repository.save(1, "whole")
    steps = 0
    for n in stopped_at_each_step(writer_closed, "restore('whole', 2, 'r')", "users"):
        steps = n
        assert users.searched() == 1
        if n % 2:
            repository.restore("whole", 2, "r")
            assert held(users, 2) == before
        users.remove(2, "r")
        left = sorted(entry.name for entry in (tmp_path / "search").iterdir())
        assert left == ["users-g1", "users.current"]
    assert steps > 15


def test_two_saves_at_once(users: TantivyTarget, writer: TantivyWriter) -> None:
    before = held(users, 1)
    saved: dict[int, object] = {}

    def save(n: int) -> None:
        try:
            saved[n] = users.repository().save(1, "same" if n < 4 else f"own-{n}")
        except Exception as error:
            saved[n] = error

    threads = [threading.Thread(target=save, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [one for one in saved.values() if isinstance(one, Exception)]
    repository = users.repository()
    assert {one.name for one in repository.saved()} == {"same", "own-4", "own-5", "own-6", "own-7"}
    assert len({str(saved[n]) for n in range(4)}) == 1, "one and the same"
    for one in repository.saved():
        assert repository.damage(one.name) is None
    repository.restore("own-7", 2, "r")
    assert held(users, 2) == before


def test_what_a_killed_save_left_is_removed_and_what_is_under_way_is_not(
    users: TantivyTarget, writer: TantivyWriter
) -> None:
    repository = users.repository()
    repository.save(1, "one")
    left, under_way = archive(users) / ".killed.partial", archive(users) / ".going-on.partial"
    left.mkdir()
    (left / "file").write_text("x")
    with staged(under_way):
        (under_way / "file").write_text("x")
        repository.save(1, "two")
        assert not left.exists()
        assert (under_way / "file").exists()


def test_a_directory_that_is_not_ours(tmp_path: Path, writer_closed: str) -> None:
    place = tmp_path / "mine"
    (place / "users").mkdir(parents=True)
    (place / "users" / "letters.txt").write_text("dear")
    with pytest.raises(Refused, match=r"not Lockstep's: letters\.txt"):
        Tantivy(tmp_path / "search", snapshots=place).index("users").repository().save(1, "one")
    assert [file.name for file in place.rglob("*")] == ["users", "letters.txt"]
    (finding,) = Tantivy(tmp_path / "search", snapshots=place).index("users").check()
    assert "letters.txt" in finding.problem
    assert not finding.blocks
    file = tmp_path / "file"
    file.write_text("x")
    repository = Tantivy(tmp_path / "search", snapshots=file).index("users").repository()
    with pytest.raises(Refused) as refused:
        repository.save(1, "one")
    assert refused.value.remedy
    users = Tantivy(tmp_path / "search", snapshots=tmp_path / "saved").index("users")
    users.repository().save(1, "one")
    other = Tantivy(tmp_path / "other", snapshots=tmp_path / "saved").index("users")
    with pytest.raises(Refused, match="holds saved states of tantivy"):
        other.repository().saved()


def test_what_stands_in_the_way_of_a_restore_is_left_alone(
    users: TantivyTarget, writer: TantivyWriter
) -> None:
    users.repository().save(1, "one")
    mine = users._directory / "users-g2"
    mine.mkdir()
    (mine / "letters.txt").write_text("dear")
    with pytest.raises(Refused, match="no index of Lockstep's"):
        users.repository().restore("one", 2, "r")
    assert [file.name for file in mine.iterdir()] == ["letters.txt"]


def test_a_directory_without_the_right_to_write(elsewhere: Path, tmp_path: Path) -> None:
    """As a user who is not root, whom no right is denied."""
    with tempfile.TemporaryDirectory(dir=elsewhere.parent) as made:
        search, place = Path(made) / "search", Path(made) / "saved"
        users = Tantivy(search, snapshots=place).index("users")
        with closing(users.open(1)) as writer:
            writer.create("m")
            fill(writer, 0, 5)
        place.mkdir()
        place.chmod(0o555)
        for path in (Path(made), search, *search.rglob("*")):
            path.chmod(0o777)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(Refused, match="Permission denied") as refused:
                users.repository().save(1, "one")
            assert users.repository().saved() == []
            (finding,) = users.check()
        finally:
            os.seteuid(before)
        assert f"right to read and write in {place}" in refused.value.remedy
        assert list(place.iterdir()) == []
        assert (finding.blocks, "Permission denied" in finding.problem) == (False, True)
