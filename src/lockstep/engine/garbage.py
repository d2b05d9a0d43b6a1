"""How often Python looks for garbage in cycles, where many small objects are made that are in none."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_SELDOM = (100_000, 10, 10)
"""A batch makes a hundred thousand small objects, none of them in a cycle. Looked through each 700 of them,
as Python does by itself, they cost a fourth of all time of a load (17 of 67 µs a document, measured), and
nearly half of what settling suspects takes (0.58 and 0.36 s for 10,000).

Each 500,000 was 2 to 3 µs less where it was tried; that the peak of memory stays flat then was not shown."""

_lock = threading.Lock()
_within = 0
_before = gc.get_threshold()


@contextlib.contextmanager
def collecting_seldom() -> Iterator[None]:
    """Cycles are looked for about once a batch, until the last who is in here at once has left."""
    global _within, _before
    with _lock:
        _within += 1
        if _within == 1:
            _before = gc.get_threshold()
            if 0 < _before[0] < _SELDOM[0]:  # 0: never, as who embeds Lockstep may have it
                gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within:
                gc.set_threshold(*_before)
