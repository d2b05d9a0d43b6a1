"""What a run shows, and how it is told to stop."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from rich.console import Console

from lockstep.cli import standing
from lockstep.cli.logs import to_console
from lockstep.cli.progress import shown
from lockstep.cli.stopping import stop_on_signals
from lockstep.operations.standing import BackfillStatus, MappingStatus

GAUGES = {"state": "running", "reason": "", "lag_p50": 0.0123, "lag_p99": 71.0, "keys_per_second": 123_456}


def mapping(name: str, **more: Any) -> MappingStatus:
    passing = BackfillStatus("backfill", 60_000_000, 90_000_000, 98_765.0, 400.0, time.time() - 600, None)
    known: dict[str, Any] = {
        "target": f"opensearch:{name}",
        "generation": 1,
        "state": "running",
        "reason": "",
        "waiting_live": 12_345_678,
        "waiting_bulk": 0,
        "stuck": 12_345,
        "backfill": passing,
        "gauges": GAUGES,
    }
    return MappingStatus(name, **{**known, **more})


def drawn(*mappings: MappingStatus, width: int = 80) -> list[str]:
    out = Console(file=io.StringIO(), width=width, force_terminal=False)
    out.print(standing.mappings(mappings, bars=True))
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_large_numbers_and_long_names_fit_eighty_columns() -> None:
    lines = drawn(mapping("a_mapping_with_a_very_long_name_indeed"), mapping("users", state="stopped"))
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith(("a_mapping", "users "))]
    assert [row.count("…") for row in rows[:2]] == [1, 0]
    assert "12,345,678" in rows[0]
    assert "67% of 90,000,000" in rows[2]
    assert "123,456/s" in rows[2]


def test_a_reason_is_shown_under_the_table() -> None:
    lines = drawn(mapping("users", state="stopped", reason="the index is gone. Bring it back.", stuck=0))
    assert lines[-1] == "users (stopped): the index is gone. Bring it back."


def test_json_progress_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    out = Console(file=io.StringIO())
    gauges = {"sources": {"app": {"state": "following", "last_change": None}}, "mappings": {"users": GAUGES}}
    with shown(out, threading.Event(), json=True) as progress:
        progress(gauges, (mapping("users", gauges={}),))
        progress(gauges, (mapping("users", gauges={}),))  # too soon to be said again
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert set(event) == {"event", "at", "sources", "mappings"}
    assert event["mappings"][0]["gauges"] == GAUGES


def test_lines_for_a_log() -> None:
    out = Console(file=io.StringIO(), width=1000)
    with shown(out, threading.Event(), json=False) as progress:
        progress({"sources": {}, "mappings": {"users": GAUGES}}, (mapping("users"),))
    assert isinstance(out.file, io.StringIO)
    (line,) = out.file.getvalue().splitlines()
    assert "users: running, backfill 60,000,000 of about 90,000,000 (98,765/s, 6 min 40 s left)" in line
    assert line.endswith("12,345,678 waiting, lag 12 ms/1 min 11 s, 12,345 stuck")


def test_the_log_is_printed_without_secrets_and_without_markup() -> None:
    out = Console(file=io.StringIO(), width=1000, markup=False, highlight=False)
    with to_console(out):
        logging.getLogger("lockstep").warning("postgresql://ana:s3cret@db is [bold]gone[/bold]")
    assert isinstance(out.file, io.StringIO)
    assert out.file.getvalue().endswith("  postgresql://ana@db is [bold]gone[/bold]\n")
    assert logging.getLogger("lockstep").handlers == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals(say=False) as stop:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before


def test_a_second_interrupt_kills() -> None:
    code = (
        "import os, signal, time; from lockstep.cli.stopping import stop_on_signals\n"
        "with stop_on_signals(say=True) as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert stop.is_set()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(30)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (ran.returncode, ran.stdout) == (130, "still here\n")
    assert "Ctrl-C again kills." in ran.stderr


def test_a_reader_that_leaves_is_no_answer() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lockstep.cli", "completion", "bash"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.wait(20) == 130
        assert running.stderr.read() == b""
