"""Processes that look at pages of a deep check, where things go wrong around them: what they say arrives as
what it is, nobody waits for ever, and none of them outlives who asked."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

import lockstep as ls
from lockstep.operations import process, processes
from lockstep.operations.frames import Task
from lockstep.ports.reading import MeteredReader
from lockstep.systems.sqlite.reader import SQLiteReader
from lockstep.systems.zuora.tables.reader import ZuoraReader
from lockstep.values import Key
from tests.agreement.test_processes import IN_A_PROCESS, PAGE, ROOT, USERS, check, lookers, pipeline
from tests.support.world import World


def at_each_page(*lines: str) -> str:
    """Lines of a pipeline file: what a process that looks does before it looks at a page."""
    within = "".join(f"\n        {line}" for line in lines)
    return (
        f"{IN_A_PROCESS}\n    from lockstep.agreement.looking import Comparison\n    look = Comparison.look\n"
        f"    def instead(*some):{within}\n        return look(*some)\n    Comparison.look = instead"
    )


def test_where_no_more_can_be_started_those_that_were_end(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, start = pipeline(small), subprocess.Popen
    begun: list[Any] = []

    def scarce(*some: Any, **more: Any) -> Any:
        if begun:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        begun.append(start(*some, **more))
        return begun[0]

    monkeypatch.setattr("lockstep.operations.process.subprocess.Popen", scarce)
    with pytest.raises(ls.LockstepError, match="no process can be started to look") as told:
        check(made, 2)
    assert "--jobs 1" in told.value.remedy
    assert begun[0].poll() is not None


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        ("from lockstep.systems.opensearch.client import NotSent as E", ls.Unreachable),
        (
            "from lockstep.systems.zuora.api.failures import Declined as E; E.__init__ = Exception.__init__; "
            "E.remedy = 'Do.'",
            ls.Refused,
        ),
        ("from lockstep.systems.opensearch.saved.places import Full as E", ls.Refused),
    ],
)
def test_errors_of_a_connector_stay_of_their_kind(
    small: World, raised: str, kind: type[ls.LockstepError]
) -> None:
    with pytest.raises(kind, match="no answer") as told:
        check(pipeline(small, at_each_page(raised, "raise E('no answer')")), 2)
    assert told.value.retriable == kind.retriable


def test_the_trace_of_a_defect_is_in_the_log(small: World, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ls.LockstepError, match="a defect of Lockstep"):
        check(pipeline(small, at_each_page("1 / 0")), 2)
    assert "Traceback" in caplog.text
    assert "in instead" in caplog.text


def test_a_text_that_is_no_utf8_is_told(small: World) -> None:
    lines = at_each_page(r"raise ls.Unreachable('no \udcff answer', 'Mend \udcff.')")
    with pytest.raises(ls.Unreachable, match=r"no \\udcff answer"):
        check(pipeline(small, f"import lockstep as ls\n{lines}"), 2)


def test_a_log_line_that_is_no_utf8_is_logged(small: World, caplog: pytest.LogCaptureFixture) -> None:
    said = r"import logging; logging.getLogger('lockstep').warning('row \udcff')"
    assert check(pipeline(small, at_each_page(said)), 2).agreement
    assert r"row \udcff" in caplog.messages


def test_a_directory_whose_name_is_no_utf8(small: World, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    odd.mkdir()
    file = pipeline(small).file
    assert file is not None
    moved = file.rename(odd / "pipeline.py")
    assert check(ls.load(moved), 2).agreement


def test_a_long_error_meets_a_long_task(small: World) -> None:
    """Each fills a pipe, and neither side may wait until the other has read."""
    file = pipeline(small, f"{IN_A_PROCESS}\n    raise KeyError('x' * 300_000)").file
    task = msgspec.structs.replace(_task(file), cuts=(Key(bytes(1_000)),) * 1_000)
    one, said = process.Process(task), []

    def look() -> None:
        try:
            one.begin()
        except ls.DeclarationError as error:
            said.append(str(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(30)
    stuck = thread.is_alive()
    one.end()
    assert not stuck
    assert "x" * 300_000 in said[0]


def _task(file: Path | None) -> Task:
    return Task(os.fsencode(file or ""), b"/nowhere", "people", "1", "", 1, 1, (), logging.INFO, (b"here",))


@pytest.mark.parametrize("name", ["calendar", "msgspec", "types", "enum", "signal", "operator", "site"])
def test_what_lies_beside_the_file_takes_no_modules_place(
    small: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small.root / f"{name}.py").write_text("raise RuntimeError('not me')")
    monkeypatch.chdir(small.root)
    assert check(pipeline(small), 2).agreement


def test_they_find_modules_where_who_asked_does(
    small: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "only_here.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    assert check(pipeline(small, "import only_here"), 2).agreement


def test_a_file_reads_the_same_command_line(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["asked", "for-this"])
    assert check(pipeline(small, "assert sys.argv == ['asked', 'for-this']"), 2).agreement


@pytest.mark.parametrize(
    "more",
    [
        f"{IN_A_PROCESS}\n    import lockstep as ls; ls.SQLite.name = 'sqlite:of today'",
        f"{IN_A_PROCESS}\n    from lockstep.systems.sql.writer import SQLWriter\n"
        "    SQLWriter.identity = lambda self: None",
        f"{IN_A_PROCESS}\n    os.chdir('..')",
    ],
    ids=["named", "there", "from"],
)
def test_a_file_that_leads_elsewhere_in_each_process_is_refused(small: World, more: str) -> None:
    """What one of them looks at would say nothing of what was asked."""
    with pytest.raises(ls.DeclarationError, match="leads elsewhere") as told:
        check(pipeline(small, more), 2)
    assert "--jobs 1" in told.value.remedy


def test_a_file_that_can_be_imported_only_once_is_told_what_to_do(small: World) -> None:
    with pytest.raises(ls.DeclarationError, match="Address already in use") as told:
        check(pipeline(small, f"{IN_A_PROCESS}\n    raise OSError(98, 'Address already in use')"), 2)
    assert "`lockstep verify people --deep --jobs 1`" in told.value.remedy


@pytest.mark.parametrize(
    "more",
    [
        "raise OSError(98, 'Address already in use')",
        "os._exit(7)",
        "os.kill(os.getpid(), 9)",
        "import time; time.sleep(3600)",
        "from lockstep.systems.sqlite.reader import SQLiteReader as One; One.snapshot = lambda self: 1 / 0",
    ],
    ids=["imported once", "ended", "killed", "waits", "no source"],
)
def test_where_nobody_asked_for_them_one_is_enough(
    small: World, more: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processes, "MANY", 1)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    monkeypatch.setattr(processes, "READY", 3.0)
    assert check(pipeline(small, f"{IN_A_PROCESS}\n    {more}"), None).agreement
    assert [one for one in caplog.messages if one.startswith("one process compares alone")]
    assert lookers() == []


def test_those_that_were_asked_for_and_are_never_ready_are_told(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "READY", 1.0)
    with pytest.raises(ls.LockstepError, match="is not ready after 1 s") as told:
        check(pipeline(small, f"{IN_A_PROCESS}\n    import time; time.sleep(3600)"), 2)
    assert "--jobs 1" in told.value.remedy
    assert lookers() == []


def test_why_one_compares_alone_though_more_were_asked_for(
    small: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert check(small.pipeline(), 2).agreement
    assert (
        "one process compares alone: no other could load the pipeline, which no file declares" in caplog.text
    )


def test_a_system_that_limits_what_is_asked_of_it_is_asked_by_one() -> None:
    assert isinstance(ZuoraReader.__new__(ZuoraReader), MeteredReader)
    assert not isinstance(SQLiteReader.__new__(SQLiteReader), MeteredReader)


@pytest.mark.parametrize(
    ("end", "why"), [("os.kill(os.getpid(), 9)", "Memory"), ("os._exit(7)", "it printed")]
)
def test_why_one_may_have_ended(small: World, end: str, why: str) -> None:
    with pytest.raises(ls.LockstepError, match="ended before its time") as told:
        check(pipeline(small, at_each_page(end)), 2)
    assert why in told.value.remedy


def test_what_they_fail_with_later_is_told_all_the_same(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MANY", 1)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    with pytest.raises(ls.LockstepError, match="killed by signal 9"):
        check(pipeline(small, at_each_page("os.kill(os.getpid(), 9)")), None)


def test_what_a_file_warns_of_is_said_once(small: World) -> None:
    warns = "import warnings; warnings.warn('an old name', stacklevel=1); print('and more', file=sys.stderr)"
    page = at_each_page("print('a page', file=sys.stderr)")
    with pytest.warns(UserWarning, match="an old name"):
        file = pipeline(small, f"{warns}\n{page}").file
    code = BEGUN.format(root=str(ROOT), file=str(file)) + "ls.verify(made, 'people', method='deep', jobs=2)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.count("UserWarning: an old name") == 1
    assert found.stderr.count("and more\n") == 1
    assert found.stderr.count("a page") == USERS // PAGE, "what comes of the pages is new"


def test_what_the_log_says_is_said_once(small: World) -> None:
    """Also where the pipeline file lets the log print, in each process."""
    said = "import logging; logging.getLogger('lockstep').warning('said of a page')"
    log = "import logging; logging.basicConfig(level=logging.INFO)"
    file = pipeline(small, f"{log}\n{at_each_page(said)}").file
    code = BEGUN.format(root=str(ROOT), file=str(file)) + "ls.verify(made, 'people', method='deep', jobs=2)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.count("said of a page") == USERS // PAGE


def test_what_is_logged_below_warnings_is_logged_where_that_is_wanted(
    small: World, caplog: pytest.LogCaptureFixture
) -> None:
    said = "import logging; logging.getLogger('lockstep').info('of a page')"
    made = pipeline(small, at_each_page(said))
    with caplog.at_level(logging.INFO, "lockstep"):
        check(made, 2)
    assert caplog.messages.count("of a page") == USERS // PAGE


BEGUN = """
import subprocess, sys, threading, time, os
sys.path.insert(0, {root!r})
import lockstep as ls
from lockstep.agreement import deep
deep.PAGE = 10
made = ls.load({file!r})
sys.stdout.flush()
"""
