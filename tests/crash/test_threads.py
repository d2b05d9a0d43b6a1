"""A thread that dies, of whatever: the run says so, or its neighbours go on; nobody waits for ever."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.engine.sources.capture import Capturer
from lockstep.forms import keys
from lockstep.operations.run import RunResult
from lockstep.systems.sqlite.reader import SQLiteReader
from tests.support.world import ADDRESSES, PEOPLE, Person, World, addresses, people, run_quickly

ROWS = ("INSERT INTO users (id, email) VALUES (1, 'ann@x'), (2, 'bob@x'), (3, 'cyd@x')",)


class Panic(BaseException):
    """As a library in Rust raises it: no Exception."""


class Dying(World):
    """Its mapping of people does something bad for one of them."""

    def __init__(self, root: Path, dies: Callable[[], object]) -> None:
        super().__init__(root)
        self.dies_of = dies
        self.do(*ROWS)

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("world", state=self.root / "state")
        source, target = ls.SQLite(self.app), ls.SQLite(self.out)

        def derive(user: Person) -> dict[str, object] | None:
            if user.id == 2:
                self.dies_of()
            return people(user)

        to = target.table("people", columns=PEOPLE)
        made.mapping(source, to=to, version="1", name="people")(derive)
        to = target.table("addresses", key=("address",), columns=ADDRESSES)
        made.mapping(source, to=to, version="1")(addresses)
        return made


def panics() -> None:
    raise Panic("index out of range")


def ended(work: Callable[[], Any], seconds: float = 30) -> Any:
    """What it returns or raises, within a time: a run that waits for ever is what is looked for."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it waits for ever"
    return found[0]


def test_a_mapping_s_thread_that_dies_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    world = Dying(tmp_path, panics)
    error = ended(world.run)
    assert isinstance(error, ls.LockstepError)
    assert "Panic: index out of range" in str(error)
    stopped = {one.name: one.state for one in ls.status(tmp_path / "state").mappings}
    assert stopped == {"addresses": "running", "people": "stopped"}
    (ill,) = [one for one in ls.status(tmp_path / "state").ills if one.subject == "mapping people"]
    assert not ill.problem.endswith("."), "its remedy is a sentence of its own"
    world.dies_of = lambda: None
    assert ended(world.run).outcome == "done"
    world.assert_agreement()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_fails_while_it_closes_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = SQLiteReader.close

    def fails(self: SQLiteReader) -> None:
        close(self)
        if threading.current_thread().name == "lockstep-people":
            raise OSError("cannot close")

    monkeypatch.setattr(SQLiteReader, "close", fails)
    error = ended(Dying(tmp_path, panics).run)
    assert "Panic: index out of range" in str(error)


def test_a_mapping_that_exits_is_a_stuck_key_and_the_others_go_on(tmp_path: Path) -> None:
    world = Dying(tmp_path, lambda: sys.exit("no such thing"))
    found = ended(world.run)
    assert isinstance(found, RunResult)
    assert found.outcome == "done"
    (stuck,) = ls.stuck(tmp_path / "state")
    assert (stuck.mapping, keys.text(stuck.key)) == ("people", "2")
    assert "SystemExit: no such thing" in stuck.error
    assert {one["id"] for one in world.actual()["people"]} == {1, 3}


def test_a_source_s_thread_that_dies_ends_the_run_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Capturer, *_: object) -> None:
        raise Panic("out of memory")

    monkeypatch.setattr(Capturer, "follow", dies)
    world = World(tmp_path)
    world.do(*ROWS)
    error = ended(lambda: run_quickly(world.pipeline()))
    assert isinstance(error, ls.LockstepError)
    assert "Panic: out of memory" in str(error)
