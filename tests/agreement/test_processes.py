"""A deep check that looks at its pages in processes of its own finds what one does in threads, and ends as
that one does: cancelled, killed, with an error. No process outlives it."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.agreement.report import Progress, Report
from lockstep.declaration.pipeline import Pipeline
from lockstep.operations import processes
from lockstep.place import StateUrl
from tests.support.world import World

ROOT = Path(__file__).parents[2]
USERS, PAGE = 200, 10
FILE = """
import os
import sys

sys.path.insert(0, {root!r})

from pathlib import Path
from tests.support.world import World

print("a pipeline file that talks", flush=True)
{more}
pipeline = World(Path({world!r}), claims=False).pipeline()
"""


@pytest.fixture
def world(small: World) -> World:
    return small


def pipeline(world: World, more: str = "") -> Pipeline:
    """Loaded from a file, as the processes will. `more`: lines of it."""
    file = world.root / "pipeline.py"
    file.write_text(FILE.format(root=str(ROOT), world=str(world.root), more=more))
    return ls.load(file)


IN_A_PROCESS = "if 'lockstep.operations.looker' in ' '.join(sys.orig_argv):"


def check(made: Pipeline, jobs: int | None, **more: object) -> Report:
    return ls.verify(made, "people", method="deep", jobs=jobs, **more)  # type: ignore[arg-type]


def lookers() -> list[int]:
    """The processes of this test that look, as the system has them."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "operations.looker" in line]


def spoiled(world: World, *, ledger: bool = True) -> None:
    """Some of everything that a deep check finds."""
    world.do(
        "DELETE FROM users WHERE id IN (15, 185)",
        "UPDATE users SET email = 'new' WHERE id IN (16, 186)",
        "UPDATE users SET email = 'poison' WHERE id = 50",
    )
    world.spoil(
        "DELETE FROM people WHERE id IN (7, 177)",
        "UPDATE people SET email = 'x' WHERE id IN (8, 178)",
        "INSERT INTO people (id, email) VALUES (900, 'stranger')",
    )
    if ledger:
        world.spoil_state("DELETE FROM ledger WHERE key IN (SELECT key FROM ledger LIMIT 1)")


@pytest.mark.parametrize("jobs", [2, 3])
def test_they_find_what_threads_find(world: World, jobs: int, capfd: pytest.CaptureFixture[str]) -> None:
    spoiled(world)
    made = pipeline(world)
    one, several = check(made, 1), check(made, jobs)
    assert several.divergences == one.divergences
    assert sum(one.counts.values()) == 11
    same = ("counts", "source_keys", "target_records", "records_compared", "settled", "moving", "behind")
    assert all(getattr(several, name) == getattr(one, name) for name in same)
    assert lookers() == []
    assert capfd.readouterr() == ("a pipeline file that talks\n", "")


def test_changes_on_their_way_are_settled(world: World) -> None:
    """All but those of the first page, which nobody works yet."""
    world.do("UPDATE users SET email = 'new' WHERE id % 3 = 0")
    made, ran = pipeline(world), threading.Event()

    def meanwhile(now: Progress) -> None:
        if not ran.is_set():
            ran.set()
            world.run()

    report = check(made, 2, on_progress=meanwhile)
    assert report.counts == {"stale": PAGE // 3}
    assert report.settled > 0


def test_it_is_so_many_processes_that_look(world: World) -> None:
    seen: list[int] = []
    check(pipeline(world), 3, on_progress=lambda _: seen.append(len(lookers())))
    assert max(seen) == 3
    seen.clear()
    check(pipeline(world), 1, on_progress=lambda _: seen.append(len(lookers())))
    assert max(seen) == 0


def test_where_nobody_says_how_many_the_size_decides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    check(pipeline(world), None, on_progress=lambda _: seen.append(len(lookers())))
    assert max(seen) == 0, "200 keys are not worth a process"
    monkeypatch.setattr(processes, "MANY", USERS)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    seen.clear()
    check(pipeline(world), None, on_progress=lambda _: seen.append(len(lookers())))
    assert max(seen) == 2
    seen.clear()
    report = check(world.pipeline(), None, on_progress=lambda _: seen.append(len(lookers())))
    assert report.agreement
    assert max(seen) == 0, "of a pipeline that no file declares"


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        (f"{IN_A_PROCESS}\n    raise KeyError('gone')", ls.DeclarationError, "KeyError: 'gone'"),
        (f"{IN_A_PROCESS}\n    os.kill(os.getpid(), 9)", ls.LockstepError, "killed by signal 9"),
        (f"{IN_A_PROCESS}\n    os._exit(7)", ls.LockstepError, "exit code 7"),
        (
            f"{IN_A_PROCESS}\n    from lockstep.agreement.looking import Comparison\n"
            "    Comparison.look = lambda *_: 1 / 0",
            ls.LockstepError,
            "a defect of Lockstep: ZeroDivisionError",
        ),
        (
            f"{IN_A_PROCESS}\n    from lockstep.agreement.looking import Comparison\n"
            "    from lockstep.errors import Unreachable\n"
            "    def no(*_): raise Unreachable('the target does not answer', 'Mend it.')\n"
            "    Comparison.read = no",
            ls.Unreachable,
            "the target does not answer",
        ),
    ],
    ids=["file", "killed", "ended", "defect", "unreachable"],
)
def test_what_they_fail_with_is_told(
    world: World, more: str, error: type[ls.LockstepError], said: str
) -> None:
    with pytest.raises(error, match=said) as told:
        check(pipeline(world, more), 2)
    assert type(told.value) is error
    assert told.value.remedy
    assert lookers() == []


def test_killed_half_way_it_says_so_and_goes_on_there(world: World) -> None:
    spoiled(world)
    made = pipeline(world)
    wanted = check(made, 1).divergences

    def kill(now: Progress) -> None:
        if now.stage == "source" and now.done >= 5 * PAGE:
            for one in lookers():
                os.kill(one, signal.SIGKILL)

    with pytest.raises(ls.LockstepError, match="killed by signal 9") as told:
        check(made, 2, on_progress=kill)
    assert "--jobs 1" in told.value.remedy
    assert "`lockstep verify people --deep --resume` goes on where it was" in told.value.remedy
    report = check(made, 2, resume=True)
    assert report.resumed_at is not None
    assert {one.key for one in report.divergences} == {one.key for one in wanted}


def test_a_state_store_in_a_database(world: World, postgres_url: str) -> None:
    """Its password and schema reach the processes, and no list of processes."""
    world.out.unlink()
    made = pipeline(world)
    made.state = StateUrl(f"{postgres_url}?schema=acme")
    ls.run(made, once=True)
    seen: list[str] = []

    def look(_: Progress) -> None:
        seen.extend(Path(f"/proc/{one}/cmdline").read_text() for one in lookers())

    spoiled(world, ledger=False)
    assert sum(check(made, 2, on_progress=look).counts.values()) == 10, "its ledger is whole"
    assert seen
    assert not any("postgres" in one for one in seen)


def test_another_file_than_when_it_began_is_refused(world: World) -> None:
    made = pipeline(world)
    made.mappings["people"].version = "of before"
    with pytest.raises(ls.DeclarationError, match="is another one in "):
        check(made, 2)


def test_cancelled_it_ends_at_once(world: World) -> None:
    made = pipeline(world, f"{IN_A_PROCESS}\n    import time; time.sleep(3600)")
    stop = threading.Event()
    pages = threading.Timer(0.5, stop.set)
    pages.start()
    begun = time.monotonic()
    report = check(made, 2, stop=stop)
    assert report.cancelled
    assert time.monotonic() - begun < 20
    assert lookers() == []


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_they_log_is_logged_here(world: World, caplog: pytest.LogCaptureFixture) -> None:
    more = (
        f"{IN_A_PROCESS}\n    import logging\n    from lockstep.agreement.looking import Comparison\n"
        "    look = Comparison.look\n"
        "    def said(*some):\n"
        "        logging.getLogger('lockstep').warning('reads %d at a time', 7)\n"
        "        return look(*some)\n"
        "    Comparison.look = said"
    )
    with caplog.at_level(logging.INFO, "lockstep"):
        check(pipeline(world, more), 2)
    assert caplog.messages.count("reads 7 at a time") == USERS // PAGE


@pytest.mark.parametrize("wrong", [{"jobs": 0, "method": "deep"}, {"jobs": 2, "method": "sample"}])
def test_jobs_that_mean_nothing_are_refused(world: World, wrong: dict[str, object]) -> None:
    with pytest.raises(ls.DeclarationError, match="jobs="):
        ls.verify(world.pipeline(), "people", **wrong)  # type: ignore[arg-type]


def test_the_ledger_is_only_read(world: World) -> None:
    """A process opens the state store to look: nothing in it changes but the report."""
    made = pipeline(world)
    with sqlite3.connect(world.root / "state" / "ledger.db") as ledger:
        before = ledger.execute("SELECT * FROM ledger ORDER BY key").fetchall()
        check(made, 2)
        assert ledger.execute("SELECT * FROM ledger ORDER BY key").fetchall() == before
