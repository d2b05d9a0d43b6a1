"""What is no pipeline is said to be none, by every public function that takes one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls

CALLS: dict[str, Callable[[Any], Any]] = {
    "accept": lambda given: ls.accept(given, 1, "c", because="x", by="a"),
    "adopt": lambda given: ls.adopt(given, "people"),
    "approve": lambda given: ls.approve(given, 1, why="x", by="a"),
    "backfill": lambda given: ls.backfill(given, "people"),
    "check": ls.check,
    "deploy": ls.deploy,
    "drill": ls.drill,
    "explain": lambda given: ls.explain(given, "people", "1"),
    "history": ls.history,
    "holds": ls.holds,
    "move_readers": lambda given: ls.move_readers(given, "people"),
    "plan": lambda given: list(ls.plan(given, "people")),
    "redrive": lambda given: ls.redrive(given, since=0.0),
    "redrive_keys": lambda given: ls.redrive_keys(given, "people", ["1"]),
    "reject": lambda given: ls.reject(given, 1, why="x", by="a"),
    "repair": lambda given: ls.repair(given, 1, by="a"),
    "report": lambda given: ls.report(given, 1),
    "reports": ls.reports,
    "restore": ls.restore,
    "retire": ls.retire,
    "retry": lambda given: ls.retry(given, "people"),
    "rollback": ls.rollback,
    "run": ls.run,
    "snapshot": ls.snapshot,
    "snapshots": ls.snapshots,
    "status": ls.status,
    "stuck": ls.stuck,
    "verify": lambda given: ls.verify(given, "people"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("given", ["state", None, 7])
def test_what_is_no_pipeline(name: str, given: Any) -> None:
    with pytest.raises(ls.DeclarationError, match="is no pipeline") as wrong:
        CALLS[name](given)
    assert "ls.Pipeline" in wrong.value.remedy


@pytest.mark.parametrize("given", [dt.datetime(2026, 11, 28, tzinfo=dt.UTC), (), b"2h"])
def test_what_is_no_moment(tmp_path: Path, given: Any) -> None:
    pipeline = ls.Pipeline("world", state=tmp_path)
    for ask in (ls.redrive, ls.history):
        with pytest.raises(ls.DeclarationError, match="is no moment") as wrong:
            ask(pipeline, since=given)
        assert "time.time()" in wrong.value.remedy
