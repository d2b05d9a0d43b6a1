"""Named points between the stages, where a test can stop the process. In production they do nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

POINTS = {
    "caught": "hints came out of the source's log",
    "journalled": "they are durable in the journal",
    "acknowledged": "the source was told so",
    "hinted": "full spans are in the journal, and nothing is noted of it",
    "spanned": "passes over all keys that a start asks for are noted, and the log is not followed yet",
    "followed": "the log is followed from now on, and no code was tried on a sample yet",
    "begun": "a new consumer is known, and has no hints yet",
    "created": "the target was made, and the state store does not know it yet",
    "recovered": "intents that a crash left are hinted, and not void yet",
    "appended": "what was made of a taken hint is in the journal, its hint not settled",
    "taken": "a batch is taken",
    "drawn": "its version is drawn",
    "derived": "its records are derived",
    "intended": "its intent is durable",
    "written": "it is written to the target",
    "settled": "ledger and positions are committed",
    "released": "who waited for its claims is hinted",
    "retrying": "stuck keys were marked as hinted again, and are not yet",
    "build-begun": "a build beside the live one is known, and nothing of it is filled",
    "build-restored": "it stands in the target as it was saved, and its ledger is not made yet",
    "build-inherited": "its ledger is made, and not all that changed since is hinted",
    "build-hinted": "all that it lacks is hinted",
    "build-filled": "it has caught up, and was not verified yet",
    "build-agreed": "it was shown to agree, and is not the live one yet",
    "build-live": "it is the live one, and readers still see the one before",
    "build-pointed": "readers see it, and nobody has noted so",
    "snapshot-begun": "a saved state is known, and nothing of it is saved",
    "snapshot-saved": "it is whole in its repository, and nobody has noted so",
    "carried": "what nobody owns was copied to where Lockstep writes, and it is not taken over yet",
    "moving": "a step of moving readers to what was taken over is done",
    "redriven": "a part of what a redrive names is hinted",
    "trimmed": "what everybody has settled is forgotten in the journal",
}
"""Every point, and what is true there."""

_hook: Callable[[str], None] | None = None


def passing(point: str) -> None:
    """Called by the engine wherever a crash would be interesting."""
    if _hook is not None:
        _hook(point)


def install(hook: Callable[[str], None] | None) -> None:
    """What to do at every point; None for nothing."""
    global _hook
    _hook = hook


def die_at(spec: str) -> None:
    """Kills this process at a point: `written`, or at its third passing: `written:3`."""
    point, _, count = spec.partition(":")
    if point not in POINTS:
        raise ValueError(f"{point!r} is no point; there are {', '.join(POINTS)}")
    left = int(count or 1)

    def hook(passed: str) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    install(hook)
