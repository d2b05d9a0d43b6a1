"""The ports: what a system must be able to do. The law of each is its docstring and is asserted by the
suite of the same name in `lockstep.testing`, against every connector, on its real server.

A connector implements the ports it can and knows nothing of the engine. One colour: synchronous calls.
Connectors raise `Unreachable` for what automation may retry, `Refused` for what it may not, and
`DataError` when one record is at fault; never an exception of the library below them.
"""

from __future__ import annotations

from lockstep.ports.adopting import (
    AdoptingWriter,
    ByMeaning,
    Copying,
    Foreign,
    Moving,
    adopting,
    assert_same_build,
    half_adopted,
    half_taken,
)
from lockstep.ports.declared import AmountsTarget, Source, Target
from lockstep.ports.following import Capture, Caught, Feed, FeedLag, WakingFeed
from lockstep.ports.holding import HoldingTarget, Loss
from lockstep.ports.journal import Journal
from lockstep.ports.owning import OwningTarget
from lockstep.ports.reading import MOST_BYTES, MOST_ROWS, KeyPage, Reader, Snapshot
from lockstep.ports.saving import Generational, Repository, Restorable
from lockstep.ports.summing import GroupingSnapshot, GroupingWriter, SummingSnapshot, SummingWriter
from lockstep.ports.writing import EstimatingWriter, Features, ListingWriter, Writer

__all__ = [
    "MOST_BYTES",
    "MOST_ROWS",
    "AdoptingWriter",
    "AmountsTarget",
    "ByMeaning",
    "Capture",
    "Caught",
    "Copying",
    "EstimatingWriter",
    "Features",
    "Feed",
    "FeedLag",
    "Foreign",
    "Generational",
    "GroupingSnapshot",
    "GroupingWriter",
    "HoldingTarget",
    "Journal",
    "KeyPage",
    "ListingWriter",
    "Loss",
    "Moving",
    "OwningTarget",
    "Reader",
    "Repository",
    "Restorable",
    "Snapshot",
    "Source",
    "SummingSnapshot",
    "SummingWriter",
    "Target",
    "WakingFeed",
    "Writer",
    "adopting",
    "assert_same_build",
    "half_adopted",
    "half_taken",
]
