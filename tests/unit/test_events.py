"""Events: written down in order, at once or soon; and a state store that does not answer meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from lockstep.errors import StateError
from lockstep.place import Place
from lockstep.state import events, schema
from lockstep.state.books import Unfenced
from lockstep.state.events import Kind
from lockstep.state.store import Store


def texts(store: Store) -> list[str]:
    return [event.text for event in store.events.since(0.0)]


def test_what_is_noted_is_read_back_whole(place: Place) -> None:
    store = Store(place)
    before = time.time()
    store.events.note(Kind.DEPLOY_BEGUN, "users", "a build", who="ada", why="new code", numbers={"build": 2})
    (found,) = store.events.since(before)
    assert (found.kind, found.subject, found.text) == ("deploy-begun", "users", "a build")
    assert (found.who, found.why, found.numbers) == ("ada", "new code", {"build": 2})
    assert before <= found.at <= time.time()
    assert store.events.since(time.time() + 1) == []
    assert store.events.since(0.0, before) == []


def test_what_waits_comes_before_what_is_noted_later_and_with_its_own_time(place: Place) -> None:
    store = Store(place)
    store.events.soon(Kind.MAPPING_WAITS, "users", "first")
    assert texts(store) == []
    time.sleep(0.01)
    noted = time.time()
    store.events.note(Kind.RESTORE_BEGUN, "users", "second")
    assert texts(store) == ["first", "second"]
    assert store.events.since(0.0)[0].at < noted
    store.events.soon(Kind.MAPPING_WAITS, "users", "third")
    store.close()
    with contextlib.closing(Store(place)) as again:
        assert texts(again) == ["first", "second", "third"]


def test_a_store_that_does_not_answer_holds_nobody_up_and_loses_only_what_has_no_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "WAITING", 3)
    store = Store(place)
    database = store.events._database

    @contextlib.contextmanager
    def silent(_: Unfenced) -> Iterator[sa.Connection]:
        store.events.soon(Kind.MAPPING_WAITS, "users", "while it was written")  # nobody waits for the writer
        raise StateError("the state store does not answer", "")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(database, "unfenced", silent)
        store.events.soon(Kind.MAPPING_WAITS, "users", "first")
        with pytest.raises(StateError):
            store.events.flush()
        store.events.note(Kind.ROLLED_BACK, "users", "has happened, so nobody is told that it failed")
        for number in range(5):
            store.events.soon(Kind.MAPPING_WAITS, "users", str(number))
    store.events.flush()
    store.events.flush()
    assert texts(store) == [
        "first",
        "while it was written",
        "has happened, so nobody is told that it failed",
        "6 more events, for which there was no room",
    ]


def test_events_are_forgotten_after_their_time_and_beyond_their_number(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST", 3)
    store = Store(place)
    for number in range(5):
        store.events.note(Kind.MAPPING_WAITS, "users", str(number))
    store.trim()
    assert texts(store) == ["2", "3", "4"]
    with store.events._database.unfenced(Unfenced.PERSON) as connection:
        old = schema.events.c.text == "4"
        connection.execute(
            schema.events.update().where(old).values(at=time.time() - events.KEPT - 1)
        )  # noted last, by a clock that was wrong
    store.trim()
    assert texts(store) == ["2", "3"]


def test_every_kind_has_a_meaning_and_a_name_of_its_own() -> None:
    assert all(kind.meaning and kind.value == str(kind) for kind in Kind)
    assert len({kind.meaning for kind in Kind}) == len(Kind)


def test_a_text_as_long_as_a_page_is_cut(place: Place) -> None:
    store = Store(place)
    store.events.note(Kind.MAPPING_WAITS, "users", "x" * 100_000)
    (text,) = texts(store)
    assert (len(text), text[-1]) == (events.LONGEST, "…")
