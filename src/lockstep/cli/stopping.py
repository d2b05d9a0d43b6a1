"""Signals: the first one asks to stop, a second Ctrl-C kills."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from lockstep.cli import exits

_ASKED = b"\nStopping: the open batches are finished and committed. Ctrl-C again kills.\n"
_SHOW_CURSOR = b"\x1b[?25h\n"


@contextlib.contextmanager
def stop_on_signals(*, say: bool) -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set.

    `say`: the first one is answered. It is by `os.write`, for a print may be under way.
    """
    stop = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)
            os._exit(exits.INTERRUPTED)
        if say and not stop.is_set():
            os.write(2, _ASKED)
        stop.set()

    if threading.current_thread() is not threading.main_thread():  # nobody can hand us signals
        yield stop
        return
    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
