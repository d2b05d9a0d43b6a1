"""The lock of a state directory, beside whoever asks for its holder."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from lockstep.errors import StateInUse
from lockstep.state.lock import RunLock, whoami


def test_a_question_for_the_holder_does_not_stop_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    path.write_text("somebody@gone, process 1")
    with path.open("rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as `holder` does
        done = threading.Timer(0.2, fcntl.flock, (asking, fcntl.LOCK_UN))
        done.start()
        lock = RunLock(tmp_path)
        lock.take()
        done.join()
    assert path.read_text() == whoami()
    with pytest.raises(StateInUse, match=f"in use by .*, process {os.getpid()}"):
        RunLock(tmp_path).take()
    lock.close()
    assert RunLock(tmp_path).holder() is None
