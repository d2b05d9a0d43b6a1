"""Processes that look at pages of a deep check end with it, and with who asked: stopped, killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from lockstep.agreement.report import Progress
from lockstep.operations import processes
from tests.agreement.test_processes import IN_A_PROCESS, PAGE, ROOT, alive, check, lookers, pipeline
from tests.agreement.test_processes_hostile import BEGUN, at_each_page
from tests.support.world import World


def test_signals_to_all_of_a_service_are_for_who_asked(small: World) -> None:
    """Also a terminal's: they are in no session of it."""
    seen: set[int] = set()

    def stop_them(now: Progress) -> None:
        for one in lookers():
            seen.add(os.getsid(one))
            if now.stage == "source" and now.done >= 3 * PAGE:
                os.kill(one, signal.SIGTERM)
                os.kill(one, signal.SIGINT)

    assert check(pipeline(small), 2, on_progress=stop_them).agreement
    assert len(seen) == 2
    assert os.getsid(0) not in seen


def test_cancelled_while_they_are_killed_it_was_cancelled(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def end(now: Progress) -> None:
        if now.stage == "source" and now.done == 3 * PAGE:
            for one in lookers():
                os.kill(one, signal.SIGKILL)
            threading.Timer(0.5, stop.set).start()

    settled = processes.Processes._settled

    def later(self: processes.Processes, page: Any, looking: Any, settler: Any) -> Any:
        if looking.exception() is not None:
            stop.wait(20)
        return settled(self, page, looking, settler)

    monkeypatch.setattr(processes.Processes, "_settled", later)
    assert check(pipeline(small), 2, on_progress=end, stop=stop).cancelled


def test_one_that_is_stopped_does_not_keep_a_check_from_its_end(small: World) -> None:
    stop = threading.Event()

    def halt(now: Progress) -> None:
        if now.stage == "source" and now.done == 3 * PAGE:
            for one in lookers():
                os.kill(one, signal.SIGSTOP)
            threading.Timer(1.0, stop.set).start()

    begun = time.monotonic()
    assert check(pipeline(small), 2, on_progress=halt, stop=stop).cancelled
    assert time.monotonic() - begun < 20
    assert lookers() == []


@pytest.mark.parametrize(
    "more",
    [
        "",
        at_each_page("import time; time.sleep(3600)"),
        f"{IN_A_PROCESS}\n    import threading, time\n"
        "    threading.Thread(target=time.sleep, args=(3600,)).start()",
    ],
    ids=["between pages", "in a page", "threads of a file"],
)
def test_they_end_with_who_asked_whatever_they_do(small: World, more: str) -> None:
    """Also where that one is killed: nobody tells them."""
    file = pipeline(small, more).file
    with asking(file) as (begun, said):
        children = [int(one) for one in said.readline().split()]
        assert len(children) == 2
        time.sleep(2)
        begun.kill()
        begun.wait()
    deadline = time.monotonic() + 10
    try:
        while any(alive(one) for one in children):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for one in filter(alive, children):
            os.kill(one, signal.SIGKILL)


@pytest.mark.parametrize("how", ["who asked is killed", "one ends", "one fails"])
def test_what_a_file_began_ends_with_them(small: World, how: str) -> None:
    """A tunnel, a proxy: each process begins its own."""
    length = f"36{os.getpid()}.{time.monotonic_ns()}"
    begins = f"    import subprocess; subprocess.Popen(['sleep', '{length}'])"
    ends = {"one ends": "os._exit(7)", "one fails": "1 / 0"}.get(how, "import time; time.sleep(3600)")
    file = pipeline(small, f"{at_each_page(ends)}\n{begins}").file
    with asking(file, stderr=subprocess.DEVNULL) as (begun, said):
        if how == "who asked is killed":
            assert len(said.readline().split()) == 2
            soon = time.monotonic() + 30
            while len(sleeping(length)) < 2:
                assert time.monotonic() < soon
                time.sleep(0.05)
            begun.kill()
        begun.wait(60)
    deadline = time.monotonic() + 10
    while left := sleeping(length):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@contextlib.contextmanager
def asking(file: Path | None, stderr: int | None = None) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that asks for a check which lasts, and what it says: the processes that look, on a line."""
    code = _UNTIL_KILLED.format(root=str(ROOT), file=str(file))
    begun = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, text=True)
    with begun:
        try:
            assert begun.stdout is not None
            begun.stdout.readline()  # of the pipeline file
            yield begun, begun.stdout
        finally:
            begun.kill()


def sleeping(length: str) -> list[str]:
    return subprocess.run(["pgrep", "-f", f"sleep {length}"], capture_output=True, text=True).stdout.split()


_UNTIL_KILLED = f"""{BEGUN}
def told():
    some = []
    while len(some) < 2:
        time.sleep(0.1)
        found = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
        ).stdout
        some = [line.split()[0] for line in found.splitlines() if "operations.looker" in line]
    print(*some, flush=True)

threading.Thread(target=told, daemon=True).start()
ls.verify(made, "people", method="deep", jobs=2, on_progress=lambda now: time.sleep(60))
"""
