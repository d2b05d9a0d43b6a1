"""Long passes: resumed where they were, never holding a read open, and never over what is newer."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from lockstep.agreement.report import Progress
from lockstep.engine import points
from lockstep.engine.hints import unfold
from lockstep.operations.backfill import backfill
from lockstep.operations.verify import verify
from tests.interleavings.points import STAGES, Crash, at, crash
from tests.interleavings.test_in_flight import agrees, begun, row
from tests.support.world import World

KEYS = 60


@pytest.mark.parametrize("stage", STAGES)
def test_a_pass_that_was_killed_near_its_end_does_not_begin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """What a span yielded is settled batch by batch: a restart repeats one, from intent and hints.

    (Killed between a span's own two steps, append and settle, it walks the rest of that span twice.)
    """
    monkeypatch.setattr(unfold, "SPAN", 10)
    one = begun(tmp_path, *(row(id, "v1") for id in range(KEYS)), limit=10)
    one.source.tables["users"] = [row(id, "v2") for id in range(KEYS)]
    one.ask()
    batches = (
        4 if stage in ("intended", "written") else 8
    )  # a span, its keys, the rest of the span, its keys, …
    with at(stage, crash, batches), pytest.raises(Crash):
        one.work()
    done = sum(record == {"email": "v2"} for record in one.held().values())
    assert done >= KEYS // 2, "the pass was well under way"
    one.restart()
    again = sum(counts.keys for counts in one.work())
    assert again <= KEYS - done + 2 * 10
    assert agrees(one)


def test_no_transaction_of_the_state_store_outlives_a_stage(tmp_path: Path) -> None:
    """A read that stays open lets the write-ahead log grow without end, until the disk is full."""
    one = begun(tmp_path, *(row(id, "v1") for id in range(20)), limit=5)
    one.source.tables["users"] = [row(id, "v2") for id in range(20)]
    one.ask()
    passed: set[str] = set()

    def look(point: str) -> None:
        passed.add(point)
        assert not _held_open(tmp_path), point

    points.install(look)
    try:
        one.work()
    finally:
        points.install(None)
    assert set(STAGES) <= passed
    assert agrees(one)


def test_no_transaction_of_the_state_store_outlives_a_page_of_a_check(tmp_path: Path) -> None:
    world = World(tmp_path, claims=False)
    world.do(*(f"INSERT INTO users VALUES ({id}, NULL, NULL, 'u{id}', 0)" for id in range(50)))
    world.run()
    looks: list[str] = []

    def look(progress: Progress) -> None:
        looks.append(progress.stage)
        assert not _held_open(tmp_path / "state")

    assert verify(world.pipeline(), "people", on_progress=look, method="deep").agreement
    assert set(looks) == {"source", "target"}
    backfill(world.pipeline(), "people")
    assert not _held_open(tmp_path / "state")


def _held_open(directory: Path) -> bool:
    """Whether somebody reads in either file: then its log cannot be taken back."""
    held = False
    for file in ("ledger.db", "journal.db"):
        with contextlib.closing(sqlite3.connect(directory / file, timeout=0)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            held = held or bool(busy)
    return held
