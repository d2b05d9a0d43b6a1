"""The story is told by the demo, not by the log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def told_by_us() -> Iterator[None]:
    """What Lockstep logs of the night is in the story."""
    log = logging.getLogger("lockstep")
    handler, propagate = logging.NullHandler(), log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
