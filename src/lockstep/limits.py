"""How much may happen before a person is asked. The defaults hold without a word of configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from lockstep.errors import DeclarationError

REFILL = "refill"
"""The kind of change that writes a record which the target has lost; beside "remove" and "update"."""

CHANGES = {"remove": "removals", "update": "updates", REFILL: "records written anew"}
"""The kinds of change, as sentences name many of them."""


class Numbers(NamedTuple):
    """What a batch would do, beside what happened before it. All are counts.

    updates, removes   records of this batch; an update that a pass over all keys makes is none
    window_updates, window_removes   in the time that `Guard.window` says, what is in flight included, this
                 batch not, and nothing that a person has allowed
    known        source keys that the ledger has a record of; 0 where nobody had to count
    source       rows of the root's table, counted up to `known`; None where nobody had to count, or could
    usual, usual_removes  most updates, and removals, in any such time of the last week; None when that is not
                 known yet, or nobody had to know
    refills      records of this batch that the ledger knows and the target has lost
    tried, failed  keys of late, and those of them that failed (of a sample, that mean something else); only
                 where error-share or mapping-changed is judged
    target, owed records that the target holds, and that it should, of all mappings; None and 0 where nobody
                 had to count
    """

    updates: int = 0
    removes: int = 0
    window_updates: int = 0
    window_removes: int = 0
    known: int = 0
    source: int | None = None
    usual: int | None = None
    usual_removes: int | None = None
    refills: int = 0
    target: int | None = None
    owed: int = 0
    tried: int = 0
    failed: int = 0

    @property
    def waiting(self) -> int:
        """Records whose row is gone from the source and that are not removed yet."""
        return 0 if self.source is None else max(self.known - self.source, 0)

    @property
    def before(self) -> int:
        """Records there were before anything of the window was removed."""
        return self.known + self.window_removes


class Guard(Struct, frozen=True, kw_only=True):
    """The limits of one mapping.

    free     removals in a window that are never held
    share    of the records: more removals in a window are held
    most     more removals in a window are held, however many records there are
    window   seconds that count together
    beyond   so many times the usual updates in a window are held, if they concern most of the records
    in_place records from which on a mapping that means something else than before is held at start; fewer are
             derived again in place
    also     policies of your own: each gets the numbers of a batch, and returns why it is held, or None

    Raises DeclarationError when a limit is none.
    """

    free: int = 100
    share: float = 0.1
    most: int = 100_000
    window: float = 3_600.0
    beyond: float = 4.0
    in_place: int = 1_000
    also: tuple[Callable[[Numbers], str | None], ...] = ()

    def __post_init__(self) -> None:
        wrong = (
            f"share is {self.share}; it is a part of one, such as 0.1"
            if not 0 <= self.share <= 1
            else f"window is {self.window}; it is 60 seconds at least"
            if self.window < 60
            else f"beyond is {self.beyond}; it is 1 at least"
            if self.beyond < 1
            else "free and most are counts, free the smaller"
            if not 0 <= self.free <= self.most
            else "in_place is a count"
            if self.in_place < 0
            else None
        )
        if wrong:
            raise DeclarationError(f"ls.Guard: {wrong}", "See docs/guard.md for what each limit does.")
