"""pipeline.verify() and assert_agreement, as a user's own test asks them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.agreement.report import Progress
from lockstep.testing import assert_agreement


class Word(ls.Model, table="words"):
    id: int = ls.key()
    text: str


def copied(root: Word) -> dict[str, object]:
    return {"id": root.id, "text": root.text}


def shouted(root: Word) -> dict[str, object]:
    return {"id": root.id, "text": root.text.upper()}


def made(tmp_path: Path, words: int = 3) -> ls.Pipeline:
    """Two mappings of one small table, run to the end."""
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as app, app:
        app.execute("CREATE TABLE words(id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        app.executemany("INSERT INTO words VALUES (?, ?)", [(n, f"word {n}") for n in range(1, words + 1)])
    pipeline = ls.Pipeline("words", state=tmp_path / "state")
    source, out = ls.SQLite(tmp_path / "app.db"), ls.SQLite(tmp_path / "out.db")
    columns = {"id": "INTEGER", "text": "TEXT"}
    for function in (copied, shouted):
        target = out.table(function.__name__, columns=columns, key=("id",))
        pipeline.mapping(source, to=target, version="1")(function)
    ls.run(pipeline, once=True)
    return pipeline


def spoil(tmp_path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as out, out:
        for statement in statements:
            out.execute(statement)


def test_all_mappings_or_some_are_verified(tmp_path: Path) -> None:
    pipeline = made(tmp_path)
    reports = pipeline.verify()
    assert [(one.mapping, one.method, one.agreement) for one in reports] == [
        ("copied", "fast", True),
        ("shouted", "fast", True),
    ]
    (one,) = pipeline.verify("shouted", method="deep")
    assert (one.mapping, one.method, one.records_compared) == ("shouted", "deep", 3)
    with pytest.raises(ls.DeclarationError, match="no mapping 'others'"):
        pipeline.verify("others")
    assert [one.mapping for one in assert_agreement(pipeline)] == ["copied", "shouted"]


def test_what_differs_is_read_in_the_failure(tmp_path: Path) -> None:
    pipeline = made(tmp_path)
    spoil(tmp_path, "UPDATE shouted SET text = 'quiet' WHERE id = 2", "DELETE FROM shouted WHERE id = 3")
    assert_agreement(pipeline, "copied")
    with pytest.raises(AssertionError) as failure:
        assert_agreement(pipeline)
    assert str(failure.value).splitlines() == [
        "shouted is not in agreement (deep check): 1 different, 1 missing",
        "  different 2",
        "    cause: changed by someone else",
        "    text: expected 'WORD 2', found 'quiet'",
        "  missing 3",
        "    cause: the write was lost, or somebody removed the record",
    ]


def test_a_failure_of_many_stays_readable(tmp_path: Path) -> None:
    pipeline = made(tmp_path, words=40)
    spoil(tmp_path, "DELETE FROM copied")
    with pytest.raises(AssertionError) as failure:
        assert_agreement(pipeline, "copied")
    lines = str(failure.value).splitlines()
    assert lines[0] == "copied is not in agreement (deep check): 40 missing"
    assert lines[-1] == "  and 30 more"
    assert sum("missing" in line for line in lines[1:]) == 10


def test_a_check_that_is_cancelled_says_how_far_it_came_and_proves_nothing(tmp_path: Path) -> None:
    pipeline = made(tmp_path, words=2500)
    spoil(tmp_path, "DELETE FROM copied WHERE id = 7", "DELETE FROM copied WHERE id = 2400")
    (whole,) = pipeline.verify("copied", method="deep")
    assert whole.counts == {"missing": 2}
    stop = threading.Event()

    def advance(now: Progress) -> None:
        if now.stage == "source":
            stop.set()

    report = ls.verify(pipeline, "copied", method="deep", on_progress=advance, stop=stop)
    assert (report.cancelled, report.agreement, report.counts) == (True, False, {"missing": 1})
    assert report.notes == (
        "cancelled (source: 2,000 of 2,500)",
        "it goes on there by `lockstep verify copied --deep --resume`",
    )
    assert next(one.verdict for one in ls.reports(tmp_path / "state", "copied")) == "cancelled; 1 missing"
    (status,) = (one for one in ls.status(tmp_path / "state").mappings if one.name == "copied")
    assert status.verdict == "2 missing", "what was shown last is still what is known"
    assert whole.id is not None
    states = {one.subject: one.state for one in ls.report(tmp_path / "state", whole.id).divergences}
    assert states["2400"] == "open", "it was not looked at"
