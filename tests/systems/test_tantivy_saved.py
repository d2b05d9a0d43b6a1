"""Saved states of the embedded index: what the laws do not say."""

from __future__ import annotations

import shutil
from contextlib import closing

from tests.systems.tantivy_saved import elsewhere, fill, held, key, users, writer

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
