"""What a check found is kept, told, repaired or accepted; and closed by the check that no longer sees it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

import lockstep as ls
from lockstep.forms import keys
from lockstep.values import Change, Fingerprint, Meta, version
from tests.agreement.planted import Saboteur
from tests.agreement.test_from_tests import made, spoil
from tests.agreement.test_planted import found
from tests.pairs.world import Following, World, until


def sabotaged(world: World) -> Saboteur:
    """Something of every kind, as the fast check sees it."""
    world.run()
    bad = Saboteur(world)
    bad.delete(31)
    bad.edit(32, honest=True, email="someone@else")
    bad.add(900, "people", 900)
    bad.add(901, "somebody", 901)
    return bad


KINDS = {"31": "missing", "32": "different", "900": "extra", "901": "extra"}


@pytest.mark.parametrize("world", ["opensearch", "sql"], indirect=True)
def test_what_was_found_is_repaired_but_for_what_others_wrote(world: World) -> None:
    sabotaged(world)
    assert found(ls.verify(world.pipeline(), "people")) == KINDS
    plan = ls.repair(world.pipeline(), "people", dry_run=True)
    assert plan.keys == {"different": 1, "extra": 1, "missing": 1}
    assert [(one.subject, one.kind) for one in plan.left] == [("→ 901", "extra")]
    world.run()
    assert found(ls.verify(world.pipeline(), "people")) == KINDS, "a plan asks for nothing"
    ls.repair(world.pipeline(), "people", only=["missing"])
    world.run()
    assert found(ls.verify(world.pipeline(), "people")) == {k: v for k, v in KINDS.items() if k != "31"}
    ls.repair(world.pipeline(), "people")
    world.run()
    for method in ("fast", "deep"):
        assert found(ls.verify(world.pipeline(), "people", method=method)) == {"901": "extra"}
    assert world.actual().keys() - world.expected().keys() == {"901"}


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_live_run_repairs_at_once(world: World) -> None:
    sabotaged(world)
    with Following(world):
        until(lambda: ls.status(Path(world.state)).running is not None)
        report = ls.verify(world.pipeline(), "people")
        assert found(report) == KINDS
        asked = ls.repair(world.pipeline(), "people")
        assert asked.running is not None
        until(lambda: world.actual().keys() - world.expected().keys() == {"901"})
        until(lambda: found(ls.verify(world.pipeline(), "people")) == {"901": "extra"})
    assert report.id is not None
    states = {one.subject: one.state for one in ls.report(Path(world.state), report.id).divergences}
    assert states == {"31": "closed", "32": "closed", "900": "closed"}


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_divergence_is_open_until_a_check_that_would_see_it_does_not(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    bad.edit(41, email="hidden@example.com")
    deep = ls.verify(world.pipeline(), "people", method="deep")
    assert found(deep) == {"41": "different"}
    assert deep.divergences[0].cause == "changed by someone else"
    fast = ls.verify(world.pipeline(), "people")
    assert fast.agreement, "it cannot see that"
    assert deep.id is not None
    assert [one.state for one in ls.report(Path(world.state), deep.id).divergences] == ["open"]
    ls.repair(world.pipeline(), "people")
    world.run()
    assert ls.verify(world.pipeline(), "people", method="deep").agreement
    whole = ls.report(Path(world.state), deep.id)
    assert ([one.state for one in whole.divergences], whole.agreement) == (["closed"], True)
    listed = [(one.id, one.method, one.verdict) for one in ls.reports(Path(world.state), "people")]
    assert listed == [
        (deep.id + 2, "deep", "agreement"),
        (deep.id + 1, "fast", "agreement"),
        (deep.id, "deep", "1 different"),
    ]


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_what_a_person_accepts_does_not_count_until_it_is_closed(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    bad.add(901, "somebody", 901)
    report = ls.verify(world.pipeline(), "people")
    assert report.id is not None
    with pytest.raises(ls.UsageError, match="nothing is open"):
        ls.accept(Path(world.state), report.id, "77", because="no", by="me")
    with pytest.raises(ls.UsageError, match="no report"):
        ls.accept(Path(world.state), 4711, "→ 901", because="no", by="me")
    with pytest.raises(ls.UsageError, match="reason"):
        ls.accept(Path(world.state), report.id, "→ 901", because=" ", by="me")
    assert ls.accept(Path(world.state), report.id, "→ 901", because="of the old importer", by="me") == 1
    for method in ("fast", "deep"):
        again = ls.verify(world.pipeline(), "people", method=method)
        assert (again.agreement, again.accepted, again.divergences) == (True, 1, ())
    assert again.id is not None
    (one,) = ls.report(Path(world.state), again.id).divergences
    assert (one.state, one.accepted_by, one.because) == ("accepted", "me", "of the old importer")
    bad.delete(901)
    assert ls.verify(world.pipeline(), "people").accepted == 0
    bad.add(901, "somebody", 901, version=100)
    assert found(ls.verify(world.pipeline(), "people")) == {"901": "extra"}, "another one"


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_what_was_accepted_is_that_very_difference(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    bad.edit(41, honest=True, email="agreed@example.com")
    report = ls.verify(world.pipeline(), "people")
    assert report.id is not None
    ls.accept(Path(world.state), report.id, "41", because="the support team's", by="me")
    assert ls.verify(world.pipeline(), "people").agreement
    bad.edit(41, honest=True, email="another@example.com")
    again = ls.verify(world.pipeline(), "people")
    assert (found(again), again.accepted) == ({"41": "different"}, 0)
    bad.edit(41, honest=True, email="agreed@example.com")
    assert found(ls.verify(world.pipeline(), "people")) == {"41": "different"}, "it must be accepted anew"


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_what_a_report_did_not_show_is_not_accepted_by_it(world: World) -> None:
    world.run()
    bad, state = Saboteur(world), Path(world.state)
    bad.edit(41, honest=True, email="first@example.com")
    first = ls.verify(world.pipeline(), "people")
    bad.edit(41, honest=True, email="second@example.com")
    second = ls.verify(world.pipeline(), "people")
    assert first.id is not None
    assert second.id is not None
    with pytest.raises(ls.UsageError, match="is not what report") as told:
        ls.accept(state, first.id, "41", because="the first", by="me")
    assert f"`lockstep report {second.id}`" in told.value.remedy
    assert ls.verify(world.pipeline(), "people").accepted == 0
    assert ls.accept(state, second.id, "41", because="the second", by="me") == 1, "a later one saw the same"
    assert ls.verify(world.pipeline(), "people").accepted == 1


def test_nothing_to_repair_is_said(tmp_path: Path, postgres_url: str) -> None:
    world = World(tmp_path, postgres_url, f"sql|{tmp_path / 'out'}|people")
    with pytest.raises(ls.StateError, match="nothing has run yet"):
        ls.repair(world.pipeline(), "people")


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_causes_are_told(world: World) -> None:
    bad = sabotaged(world)
    before = bad.held(15)
    world.do("UPDATE users SET email = 'changed' WHERE id = 15")
    world.run()
    now = bad.held(15)
    assert before.meta is not None
    assert now.meta is not None
    bad.put(15, before.record, msgspec.structs.replace(before.meta, version=now.meta.version))
    world.do(
        "UPDATE users SET email = 'poison' WHERE id = 12", "UPDATE users SET email = 'new' WHERE id = 13"
    )
    world.do("INSERT INTO users VALUES (800, 1, 'young')", "DELETE FROM users WHERE id = 14")
    causes = {
        str(one.key or one.target_key): one.cause for one in ls.verify(world.pipeline(), "people").divergences
    }
    assert causes == {
        "31": "the write was lost, or somebody removed the record",
        "32": "changed by someone else",
        "900": "a removal was not derived, or the record was restored by someone else",
        "901": "not written by this mapping",
        "12": "stuck: see `lockstep stuck`",
        "13": "a change was not derived: a hint of it was lost, or has not been worked yet",
        "14": "a removal was not derived, or the record was restored by someone else",
        "15": "the write of it was lost, or the record was put back to an earlier state",
        "800": "never derived: a hint of it was lost, or has not been worked yet",
    }


class Copied(ls.Model, table="copied"):
    id: int = ls.key()
    names: str


def test_an_extra_at_a_key_of_its_own_is_taken_over_first(tmp_path: Path) -> None:
    """A mapping that keys its records itself: deriving the source key alone would not look there."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as app, app:
        app.execute("CREATE TABLE copied(id INTEGER PRIMARY KEY, names TEXT NOT NULL)")
        app.execute("INSERT INTO copied VALUES (1, 'a b'), (2, 'c')")
    pipeline = ls.Pipeline("copies", state=tmp_path / "state")
    target = ls.SQLite(tmp_path / "out.db").table("words", columns={"word": "TEXT"}, key=("word",))

    def words(root: Copied) -> list[ls.Keyed]:
        return [ls.Keyed(name, {"word": name}) for name in root.names.split()]

    pipeline.mapping(ls.SQLite(tmp_path / "app.db"), to=target, version="1")(words)
    ls.run(pipeline, once=True)
    assert ls.verify(pipeline, "words").agreement
    source: Any = keys.encode((1,))
    with contextlib.closing(target.open(1)) as writer:
        meta = Meta("words", source, Fingerprint(5), 0, version(1, 1))
        writer.write([Change(target.key(("left",)), {"word": "left"}, meta)])
    assert [(one.kind, one.key, one.target_key) for one in ls.verify(pipeline, "words").divergences] == [
        ("extra", "1", "left")
    ]
    assert ls.repair(pipeline, "words").keys == {"extra": 1}
    ls.run(pipeline, once=True)
    assert ls.verify(pipeline, "words", method="deep").agreement
    with contextlib.closing(target.open(1)) as writer:
        assert [held.record["word"] for held in writer.scan(None, 9)] == ["a", "b", "c"]


def test_two_records_of_one_key_are_two_divergences(tmp_path: Path, postgres_url: str) -> None:
    from lockstep.place import StateUrl

    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as app, app:
        app.execute("CREATE TABLE copied(id INTEGER PRIMARY KEY, names TEXT NOT NULL)")
        app.execute("INSERT INTO copied VALUES (1, 'a b'), (2, 'c')")
    pipeline = ls.Pipeline("copies", state=StateUrl(postgres_url))
    target = ls.SQLite(tmp_path / "out.db").table("words", columns={"word": "TEXT"}, key=("word",))

    def words(root: Copied) -> list[ls.Keyed]:
        return [ls.Keyed(name, {"word": name}) for name in root.names.split()]

    pipeline.mapping(ls.SQLite(tmp_path / "app.db"), to=target, version="1")(words)
    ls.run(pipeline, once=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as out, out:
        out.execute("DELETE FROM words WHERE word <> 'c'")
    report = ls.verify(pipeline, "words")
    assert [one.subject for one in report.divergences] == ["1 → a", "1 → b"]
    assert report.id is not None
    assert len(ls.report(pipeline, report.id).divergences) == 2
    ls.repair(pipeline, "words")
    ls.run(pipeline, once=True)
    assert ls.verify(pipeline, "words").agreement
    assert ls.report(pipeline, report.id).agreement


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_report_says_which_later_one_saw_its_divergences_again(world: World) -> None:
    sabotaged(world)
    first, second = (ls.verify(world.pipeline(), "people") for _ in range(2))
    assert first.id is not None
    assert second.id is not None
    told = ls.report(Path(world.state), first.id)
    assert (told.agreement, told.divergences, told.later) == (False, (), second.id)
    assert ls.report(Path(world.state), second.id).later is None


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_one_report_is_repaired_and_what_others_found_is_not(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    bad.delete(31)
    first = ls.verify(world.pipeline(), "people")
    bad.delete(32)
    second = ls.verify(world.pipeline(), "people")
    assert first.id is not None
    assert found(second) == {"31": "missing", "32": "missing"}
    with pytest.raises(ls.UsageError, match="no report 4711"):
        ls.repair(world.pipeline(), report=4711)
    assert ls.repair(world.pipeline(), report=first.id).keys == {"missing": 1}
    world.run()
    assert found(ls.verify(world.pipeline(), "people")) == {"32": "missing"}


def test_a_repair_that_is_rejected_is_tried_again_as_any_stuck_key(tmp_path: Path) -> None:
    """So a record that does not stick is written more often than repairs were asked for."""
    pipeline = made(tmp_path)
    spoil(
        tmp_path,
        "CREATE TABLE seen(id INTEGER)",
        "CREATE TRIGGER gone AFTER INSERT ON copied WHEN NEW.id = 2 "
        "BEGIN INSERT INTO seen VALUES (2); DELETE FROM copied WHERE id = 2; END",
        "DELETE FROM copied WHERE id = 2",
    )

    def inserted() -> int:
        with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as out:
            return int(out.execute("SELECT count(*) FROM seen").fetchone()[0])

    assert ls.verify(pipeline, "copied").counts == {"missing": 1}
    assert ls.repair(pipeline, "copied").keys == {"missing": 1}
    ls.run(pipeline, once=True)
    assert inserted() == 1
    (stuck,) = ls.stuck(tmp_path / "state")
    assert "took the row and does not hold it" in stuck.error
    stop = threading.Event()
    thread = threading.Thread(target=lambda: ls.run(pipeline, stop=stop))
    thread.start()
    try:
        until(lambda: inserted() >= 3)
    finally:
        stop.set()
        thread.join(60)
    assert ls.stuck(tmp_path / "state")[0].attempts >= 3
    report = ls.verify(pipeline, "copied")
    assert [one.cause for one in report.divergences] == ["stuck: see `lockstep stuck`"]
