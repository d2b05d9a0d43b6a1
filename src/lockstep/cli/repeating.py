"""Work that is done again and again: `--every 6h`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lockstep.cli import output
from lockstep.errors import LockstepError


def repeated(work: Callable[[], None], every: float | None, stop: threading.Event) -> None:
    """Does it once, or every so many seconds until stopped. One that fails is said, and the next is tried."""
    while True:
        begun = time.monotonic()
        try:
            work()
        except LockstepError as error:
            if every is None or stop.is_set():
                raise
            output.console(stderr=True).print(f"{output.clock(time.time())}  {error}. {error.remedy}")
        if every is None or stop.wait(max(begun + every - time.monotonic(), 0.0)):
            return
