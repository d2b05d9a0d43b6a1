"""The deep check: trusts nothing stored. Derives every record again and reads every target record.

First over the source's keys: what it derives must be in the target, equal. Then over the target: what it
holds must be derived by somebody (`orphans`). Where the records that say they are from some keys are those
that the first pass met, that is shown, and nothing is derived twice. What differs is a suspect: see
`suspects`.

It can be interrupted in any way and goes on where it was: with a bookmark. What was looked at before is not
looked at again, for a change since then is a hint, and worked; but for keys on which the sides differed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import msgspec

from lockstep.agreement.bookmark import Bookmark, Reached
from lockstep.agreement.lookers import Lookers, Threads
from lockstep.agreement.met import Met, together
from lockstep.agreement.orphans import Orphans
from lockstep.agreement.report import Progress, Report
from lockstep.agreement.scope import Scope
from lockstep.agreement.walk import pages
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import StateError
from lockstep.values import Key

PAGE = 2_000
"""Source keys looked at together; of a slow target half as many. With half as many for all, what a page costs
by itself (snapshots, and what columns the target has) is a tenth of a check."""

OnProgress = Callable[[Progress], None]


def begin(scope: Scope, position: str | None) -> Reached:
    """The beginning of a deep check. `position`: of the source's log."""
    cuts = tuple(scope.cuts())
    return Reached(time.time(), position, cuts, (Met(),) * (len(cuts) + 1))


def deep(
    scope: Scope,
    reached: Reached,
    on_progress: OnProgress | None = None,
    *notes: str,
    bookmark: Bookmark | None = None,
    lookers: Lookers | None = None,
    again: Sequence[Key] = (),
) -> Report:
    """Compares everything, field by field, from where an earlier check came to, or from the beginning.

    `bookmark`: where it is to be kept how far it comes. `lookers`: who looks at the pages; by default threads
    of this process. `again`: source keys at which it looks besides, whether or not the source has them.
    """
    return _Deep(scope, reached, on_progress, bookmark, lookers).run(notes, again)


class _Deep:
    def __init__(
        self,
        scope: Scope,
        reached: Reached,
        on_progress: OnProgress | None,
        bookmark: Bookmark | None,
        lookers: Lookers | None,
    ) -> None:
        self._scope = scope
        self._at = reached
        self._on_progress = on_progress
        self._bookmark = bookmark
        self._deriver = Deriver(scope.mapping, scope.reader)
        self._settler = scope.settler(self._deriver)
        self._lookers = lookers or Threads(scope, reached.cuts)

    def run(self, notes: Sequence[str], again: Sequence[Key]) -> Report:
        at, found = self._at, self._scope.findings
        found.settled, found.behind = at.settled, at.behind
        try:
            if at.resumed_at is not None:
                notes = (*notes, f"{at.keys:,} source keys were looked at before it was interrupted")
                self._look_again()
            self._over_source()
        except BaseException:
            if self._bookmark is not None and self._at.keys:
                with contextlib.suppress(StateError):  # it may be what is told of already
                    self._bookmark.keep(self._at)
            raise
        if self._bookmark is not None:
            self._bookmark.keep(self._at)
        at = self._at
        records = Orphans(
            self._scope,
            self._deriver,
            self._settler,
            at.cuts,
            at.met,
            lambda done, total: self._progress("target", done, total),
        ).find()
        settled, behind = found.settled, found.behind
        self._settler.settle_keys(again)
        found.settled, found.behind = settled, behind  # those were mended: no changes on their way
        return found.report(
            self._scope.mapping.name,
            "deep",
            at.started_at,
            at.keys,
            records,
            at.compared,
            notes=notes,
            resumed_at=at.resumed_at,
        )

    def _look_again(self) -> None:
        """At keys on which the sides differed before it was interrupted, or that other checks found since."""
        assert self._bookmark is not None
        for some in self._bookmark.differing():
            left = self._settler.settle_keys(some)
            self._at = self._counted(self._at)
            self._bookmark.keep(self._at, [key for key in some if key not in left])
            self._progress("again", len(some), len(some))

    def _over_source(self) -> None:
        scope = self._scope
        total = scope.reader.estimate(scope.mapping.root.table)
        size = PAGE if scope.door.portion is None else PAGE // 2
        left = pages(scope.reader, scope.mapping, size, self._at.rest)
        if self._at.keys:
            self._progress("source", self._at.keys, total)
        with contextlib.closing(self._lookers.over(left, self._settler)) as looks:
            for look in looks:
                self._at = self._counted(
                    msgspec.structs.replace(
                        self._at,
                        met=together(self._at.met, look.found.met),
                        rest=look.page.rest,
                        keys=self._at.keys + len(look.page.keys),
                        compared=self._at.compared + look.found.compared,
                    )
                )
                self._reach(look.differing)
                self._progress("source", self._at.keys, total)

    def _counted(self, at: Reached) -> Reached:
        found = self._scope.findings
        return msgspec.structs.replace(at, settled=found.settled, behind=found.behind)

    def _reach(self, differing: set[Key]) -> None:
        if self._bookmark is not None:
            self._bookmark.reach(self._at, differing)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, max(done, total)))
