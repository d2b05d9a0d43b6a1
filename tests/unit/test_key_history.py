"""The history of a key: what happened to it, in order, as `explain` tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockstep.database import Access
from lockstep.operations.explain import explain
from lockstep.operations.key_history import EVENTS, Event
from lockstep.operations.opened import existing
from lockstep.operations.reports import accept
from lockstep.operations.verify import verify
from lockstep.state import schema
from lockstep.state.books import Unfenced
from lockstep.state.events import Kind
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do(
        "INSERT INTO companies VALUES (1, 'Acme'), (7, 'Other')",
        "INSERT INTO tags VALUES (5, 'new')",
        *(f"INSERT INTO users VALUES ({n}, {1 if n < 5 else 7}, NULL, 'u{n}', NULL)" for n in range(1, 9)),
    )
    made.run()
    return made


def told(world: World, key: str) -> list[Event]:
    found = list(explain(world.pipeline(), "people", key).history)
    assert [event.happened_at for event in found] == sorted(event.happened_at for event in found)
    return found


def hints(world: World, key: str) -> list[str]:
    return [event.text for event in told(world, key) if event.what == "hint"]


def test_its_changes_are_told_those_of_its_tree_among_them_and_no_others(world: World) -> None:
    world.do("UPDATE users SET email = 'x' WHERE id = 3")
    world.run()
    world.do("UPDATE companies SET name = 'Acme & Sons' WHERE id = 1")
    world.do("INSERT INTO users_tags VALUES (3, 5)")
    world.do("INSERT INTO conversations VALUES (9, 3, 'talk')", "INSERT INTO messages VALUES (4, 9, 'hello')")
    world.do("UPDATE companies SET name = 'Others' WHERE id = 7")
    world.do("UPDATE users SET email = 'y' WHERE id = 7")
    world.run()
    found = hints(world, "3")
    for expected in ("users 3", "companies 1", "users_tags 3|5", "conversations 9", "messages 4"):
        assert any(text.endswith(f"of {expected}") for text in found), (expected, found)
    assert not any(text.endswith(("users 7", "companies 7")) for text in found)
    assert any(text.endswith("of companies 7") for text in hints(world, "7"))
    last = [event for event in told(world, "3") if event.what == "write"]
    assert len(last) == 1
    assert any(event.what == "backfill" for event in told(world, "3"))


def test_a_row_that_hung_on_it_and_is_gone_is_told(world: World) -> None:
    world.do("INSERT INTO conversations VALUES (9, 3, 'talk')")
    world.run()
    world.do("DELETE FROM conversations WHERE id = 9")
    world.run()
    assert sum(text.endswith("of conversations 9") for text in hints(world, "3")) == 2
    assert not any("conversations" in text for text in hints(world, "4"))


def test_failures_and_what_checks_found_are_told(world: World) -> None:
    world.do("UPDATE users SET email = 'poison' WHERE id = 2")
    world.run()
    assert any(event.what == "stuck" for event in told(world, "2"))
    world.spoil("DELETE FROM people WHERE id = 4")
    report = verify(world.pipeline(), "people")
    assert report.id is not None
    accept(world.pipeline(), report.id, "4", because="a test", by="ada")
    found = [(event.what, event.text) for event in told(world, "4") if event.what in ("check", "accepted")]
    assert found[0][0] == "check"
    assert "missing" in found[0][1]
    assert ("accepted", "accepted by ada: a test") in found
    assert not any(event.what == "check" for event in told(world, "1"))


def test_what_befell_its_mapping_source_and_target_meanwhile_is_told(world: World) -> None:
    with existing(world.pipeline(), Access.CHANGE) as store:
        consumer = store.generations.consumers()[0]
        store.events.note(Kind.MAPPING_STOPPED, "people", "it is full")
        store.events.note(Kind.TARGET_EMPTIED, consumer.target, "it was emptied")
        store.events.note(Kind.SOURCE_HOLE, consumer.source, "the log was lost")
        store.events.note(Kind.MAPPING_STOPPED, "others", "of another one")
        store.events.note(Kind.SNAPSHOT_TAKEN, consumer.target, "which touches nothing")
        for number in range(EVENTS - 3):
            store.events.note(Kind.MAPPING_WAITS, "people", f"no answer, {number}")
        with store.events._database.unfenced(Unfenced.PERSON) as connection:
            long_ago = {"at": 1.0, "kind": "mapping-stopped", "subject": "people", "text": "before it was"}
            connection.execute(schema.events.insert(), long_ago)
    found = [event.text for event in told(world, "3") if event.what == "event"]
    assert found[:3] == [
        "mapping-stopped: it is full",
        f"target-emptied {consumer.target}: it was emptied",
        f"source-hole {consumer.source}: the log was lost",
    ]
    assert len(found) == EVENTS
    with existing(world.pipeline(), Access.CHANGE) as store:
        store.events.note(Kind.MAPPING_GOES_ON, "people", "goes on")
    again = [event.text for event in told(world, "3") if event.what == "event"]
    assert again == [*found[1:], "mapping-goes-on: goes on"]
