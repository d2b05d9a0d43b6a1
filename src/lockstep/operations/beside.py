"""What a check knows of the run beside it while it waits, and whether it is to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lockstep.agreement.report import Progress
from lockstep.errors import Cancelled
from lockstep.journal.sql import SqlJournal
from lockstep.state.store import Store
from lockstep.values import Lane, Stream

OnProgress = Callable[[Progress], None]


class Whereabouts:
    """Where a check is, told to whoever looks; ends it there when it is to stop."""

    def __init__(self, on_progress: OnProgress | None, stop: threading.Event | None) -> None:
        self._on_progress = on_progress
        self._stop = stop
        self._last = Progress("start", 0, 0)

    def __call__(self, now: Progress) -> None:
        self._last = now
        if self._on_progress is not None:
            self._on_progress(now)
        self.check()

    def check(self) -> None:
        """Raises Cancelled once the check is to stop."""
        if self._stop is not None and self._stop.is_set():
            stage, done, total = self._last
            raise Cancelled(f"cancelled ({stage}: {done:,} of {total:,})")


def followed(store: Store, source: str) -> tuple[str, ...]:
    """How far a source's log is followed: as the journal has it, and as the run says, which is newer when
    nothing changes."""
    mark, run = store.journal.mark(source), store.runs.last()
    shown = run.gauges.get("sources", {}).get(source, {}).get("position") if run else None
    return tuple(one for one in (mark and mark.position, shown) if one)


class Beside:
    """What the state store says of the work that goes on. A check that waits asks it again and again, and may
    end."""

    def __init__(self, store: Store, place: Whereabouts, worked: Callable[[], bool]) -> None:
        self.store = store
        self.place = place
        self._worked = worked

    @property
    def journal(self) -> SqlJournal:
        return self.store.journal

    def working(self) -> bool:
        self.place.check()
        return self._worked()

    def followed(self, source: str) -> tuple[str, ...]:
        return followed(self.store, source)

    def settled(self, consumer: int) -> dict[tuple[Stream, Lane], dict[int, int]]:
        return self.store.positions.of(consumer)

    def hold(self, consumer: int) -> int | None:
        found = [one.id for one in self.store.holds.of(consumer) if one.state in ("open", "rejected")]
        return min(found, default=None)
