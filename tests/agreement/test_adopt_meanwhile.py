"""What others do while a target is being taken over, or when it is half taken over."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.errors import Declined
from lockstep.operations.opened import closed_door
from lockstep.ports import adopting
from tests.agreement.test_adopt import filled, table_of, touched
from tests.agreement.test_adopt_search import Theirs, killed
from tests.pairs.world import World, until

TABLES = ["sql", "postgres"]


def agreed_but(world: World, *left: str) -> None:
    """All is as it should be, but what was left as it was found."""
    expected = {key: one for key, one in world.expected().items() if key not in left}
    assert {key: one for key, one in world.actual().items() if key not in left} == expected


def taken_over(world: World, theirs: Theirs | None) -> None:
    """But for the two that differ; of a table only the rows that it lacked were written."""
    agreed_but(world, "5", "6")
    if theirs is None:
        assert touched(world) == [7, 8, 9]
    else:
        theirs.close()


@pytest.mark.parametrize("world", TABLES, indirect=True)
def test_what_others_removed_from_the_half_that_was_taken_over_is_written(world: World) -> None:
    filled(world)
    killed(world, "adopt", "carried")
    with table_of(world) as (do, name):
        do(f"DELETE FROM {name} WHERE id IN (5, 10, 11)")
    world.do("UPDATE users SET email = 'poison' WHERE id = 11", "DELETE FROM users WHERE id = 12")
    done = ls.adopt(world.pipeline(), "people")
    assert done.counts == {"equal": 52, "different": 1, "source-only": 5, "failed": 1, "target-only": 3}
    world.do("UPDATE users SET email = 'U11@example.com' WHERE id = 11")
    world.run()
    assert touched(world) == [5, 5, 7, 8, 9, 10, 10, 11, 11, 12], "by others and by the run"
    agreed_but(world, "6")


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_what_others_removed_from_an_index_half_taken_over_is_written(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    killed(world, "adopt", "settled")
    for key in ("5", "10"):
        theirs.ask("DELETE", f"/{theirs.index}/_doc/{key}")
    theirs.ask("POST", f"/{theirs.index}/_refresh")
    done = ls.adopt(world.pipeline(), "people")
    assert done.counts == {"equal": 54, "different": 1, "source-only": 5, "target-only": 2}
    world.run()
    agreed_but(world, "6")
    report = ls.verify(world.pipeline(), "people", method="deep")
    assert report.counts == {"different": 1, "extra": 2}


class Adopting:
    """`ls.adopt` in a process of its own. `state`: of a state store of its own; `stands`: at which point of
    those in `points.POINTS` it stands still, until it is killed."""

    def __init__(self, world: World, *, state: str = "", stands: str = "") -> None:
        code = (
            "import os, signal, sys; from pathlib import Path; import lockstep as ls\n"
            "from lockstep.engine import points\n"
            "from tests.pairs.world import World\n"
            "root, url, target, state, stands = sys.argv[1:]\n"
            "world = World(Path(root), url, target, state)\n"
            "points.install(lambda point: point == stands and os.kill(os.getpid(), signal.SIGSTOP))\n"
            "try:\n    print(ls.adopt(world.pipeline(), 'people').outcome)\n"
            "except ls.LockstepError as error:\n    print(type(error).__name__, error)"
        )
        given = [str(world.root), world.url, world.target, state or world.state, stands]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *given], env=environment, stdout=subprocess.PIPE, text=True
        )

    def said(self) -> str:
        return self.process.communicate(timeout=120)[0].strip()


@contextlib.contextmanager
def half(world: World) -> Iterator[int]:
    """One that stands still when some is in the ledger, and is killed in the end; its process."""
    one = Adopting(world, stands="settled")
    try:
        _, status = os.waitpid(one.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield one.process.pid
    finally:
        one.process.kill()
        assert one.said() == ""


class Bot(ls.Model, table="public.bots"):
    id: int = ls.key()
    email: str


def with_bots(world: World) -> ls.Pipeline:
    """A second mapping, into the same table."""
    pipeline = world.pipeline()
    first = pipeline.named("people")

    def bot(one: Bot) -> dict[str, object]:
        return {"email": one.email}

    pipeline.mapping(first.source, to=first.target, name="bots", version="1")(bot)
    return pipeline


def many(world: World, theirs: Theirs | None) -> int:
    """The world filled by others, a table with more than one page; how many are equal."""
    if theirs is not None:
        theirs.fill(world, alias=True)
        return 55
    world.do("INSERT INTO users SELECT i, 1, 'many' || i FROM generate_series(1000, 2499) i")
    filled(world)
    return 1555


def theirs_of(world: World) -> Theirs | None:
    return Theirs(world) if world.target.startswith("opensearch") else None


@pytest.mark.parametrize("world", [*TABLES, "opensearch"], indirect=True)
def test_while_one_goes_on_another_is_told_who_and_the_rest_goes_on_when_it_is_killed(world: World) -> None:
    theirs = theirs_of(world)
    equal = many(world, theirs)
    with half(world) as process:
        for ask in (lambda: ls.adopt(world.pipeline(), "people"), world.run):
            with pytest.raises(ls.StateInUse, match=f"process {process}"):
                ask()
        with pytest.raises(ls.Refused, match="half taken over for people: `lockstep adopt` is at work"):
            ls.verify(world.pipeline(), "people", patience=0.1)
        another = Adopting(world, state=str(world.root / "another")).said()
        assert another.startswith("Declined"), another
        assert "from another state store" in another
    for ask in (world.run, lambda: ls.verify(world.pipeline(), "people", method="deep")):
        with pytest.raises(ls.Refused, match="half taken over"):
            ask()
    assert ls.adopt(world.pipeline(), "people").counts == {
        "equal": equal,
        "different": 2,
        "source-only": 3,
        "target-only": 2,
    }
    world.run()
    taken_over(world, theirs)


@pytest.mark.parametrize("world", [*TABLES, "opensearch"], indirect=True)
def test_of_two_that_begin_at_once_one_takes_over(world: World) -> None:
    theirs = theirs_of(world)
    equal = many(world, theirs)
    both = [Adopting(world), Adopting(world)]
    said = sorted(one.said() for one in both)
    assert said[1] == "adopted", said
    # as the other is at work, or done, or as both make the state store
    assert said[0].startswith("State") or "taken over" in said[0], said
    with pytest.raises(Declined, match="taken over already"):
        ls.adopt(world.pipeline(), "people")
    world.run()
    assert len(world.actual()) == equal + 3
    taken_over(world, theirs)


@pytest.mark.parametrize("world", [*TABLES, "opensearch"], indirect=True)
def test_beside_a_run_it_is_told_and_after_that_run_it_takes_over(world: World) -> None:
    theirs = theirs_of(world)
    equal = many(world, theirs)
    run = world.spawn(once=False)
    place = Path(world.state) / "run.lock"
    until(lambda: place.exists() and str(run.pid) in place.read_text())
    try:
        with pytest.raises(ls.StateInUse, match=f"process {run.pid}"):
            ls.adopt(world.pipeline(), "people")
        assert ls.adopt(world.pipeline(), "people", dry_run=True).counts["equal"] == equal
    finally:
        run.kill()
        run.wait(60)
    assert ls.adopt(world.pipeline(), "people").outcome == "adopted"
    world.run()
    taken_over(world, theirs)


@pytest.mark.parametrize("world", TABLES, indirect=True)
def test_half_taken_over_for_one_mapping_no_other_finishes_it(world: World) -> None:
    """The run would write what the first means over all that it had not taken over yet."""
    filled(world)
    world.do(
        "CREATE TABLE bots (id int PRIMARY KEY, email text NOT NULL)",
        "INSERT INTO bots SELECT i, 'bot' || i FROM generate_series(1001, 1020) i",
    )
    with table_of(world) as (do, name):
        for n in range(1001, 1021):
            do(f"INSERT INTO {name} (id, email) VALUES (?, ?)", n, "old" if n == 1007 else f"bot{n}")
    before = touched(world)
    killed(world, "adopt", "intended")
    for dry_run in (True, False):
        with pytest.raises(Declined, match="half taken over for people") as raised:
            ls.adopt(with_bots(world), "bots", dry_run=dry_run)
        assert "`lockstep adopt people` again" in raised.value.remedy
    with pytest.raises(ls.Refused, match="half taken over") as refused:
        ls.run(with_bots(world), once=True)
    assert "adopt people" in refused.value.remedy
    assert ls.adopt(with_bots(world), "people").left_out == ("bots",)
    done = ls.adopt(with_bots(world), "bots")
    assert (done.left_out, done.counts) == ((), {"equal": 19, "different": 1, "target-only": 4})
    assert touched(world) == before
    ls.run(with_bots(world), once=True)
    assert touched(world) == sorted([*before, 7, 8, 9])


@pytest.mark.parametrize("world", [*TABLES, "opensearch"], indirect=True)
def test_two_state_stores_that_begin_at_one_moment_do_not_both_get_it(world: World) -> None:
    theirs = theirs_of(world)
    many(world, theirs)
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(closed_door(world.pipeline().named("people"), 1, None)) for _ in "ab"]
        first, second = (door.foreign() for door in doors)
        assert (first.marker(), second.marker()) == (None, None), "both have looked"
        first.leave(adopting("a", "people"))
        with pytest.raises(Declined, match="from another state store"):
            second.leave(adopting("b", "people"))
        first.leave("a")
        with pytest.raises(Declined, match="from another state store"):
            second.leave("b")
        assert first.marker() == "a"
    if theirs is not None:
        theirs.close()
