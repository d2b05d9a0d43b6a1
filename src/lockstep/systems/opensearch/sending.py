"""Sends the bulk requests of one batch: in halves what is refused whole, again what the cluster was too busy
for, slower and in smaller requests, for as long as there is progress."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.errors import Unreachable
from lockstep.systems.opensearch import bulk
from lockstep.systems.opensearch.client import Client, NotSent
from lockstep.systems.opensearch.layout import Layout
from lockstep.systems.opensearch.pace import Pace
from lockstep.systems.opensearch.reasons import BUSY, reason
from lockstep.values import Change, Key, Outcome, Status

_TOO_MANY_REFUSALS = 32

_TOO_LARGE = frozenset({400, 413})
"""Answers that may be one document's fault: the request is cut in halves until it stands alone."""

_REPLY = "errors,items.*.status,items.*.error,items.*._index"
"""Small replies. Only safe where no document comes back: a filtered answer is written anew by the server,
and numbers pass through doubles on the way."""


class Sending:
    """One batch. `outcomes`: of its changes, None where nobody knows yet."""

    def __init__(self, client: Client, names: Layout, pace: Pace, changes: Sequence[Change]) -> None:
        self._client = client
        self._pace = pace
        self._changes = changes
        self._index = names.index
        self._path = f"/{names.door}/_bulk?require_alias=true&timeout=30s&filter_path={_REPLY}"
        self.outcomes: list[Outcome | None] = [None] * len(changes)

    def send(self, request: list[bulk.Item]) -> None:
        """Sends it, until each of its changes has an outcome. Raises NotSent, and what `IndexWriter.write`
        raises of the cluster and the index."""
        waiting, refusals = [request], 0
        while waiting:
            part = waiting.pop()
            content = b"".join([one.lines for one in part])
            try:
                status, answer = self._client.send("POST", self._path, content, lines=True)
            except NotSent:
                raise
            except Unreachable as error:
                self._settle(part, Outcome(Status.UNKNOWN, str(error)))
                continue
            if status == 200:
                waiting += self._answered(part, answer)
            elif status in _TOO_LARGE:
                refusals += status == 400
                if refusals > _TOO_MANY_REFUSALS:
                    raise self._client.failure(status, answer)
                if status == 413 and len(part) > 1:
                    self._pace.too_large(len(content))
                waiting += self._refused(part, status, answer)
            elif status in BUSY:
                waiting += self._too_busy(part, status, answer)
            else:
                failure = self._client.failure(status, answer)
                if not isinstance(failure, Unreachable):
                    raise failure
                self._settle(part, Outcome(Status.UNKNOWN, str(failure)))

    def _refused(self, part: list[bulk.Item], status: int, answer: bytes) -> list[list[bulk.Item]]:
        """What of a request that is too large is to be sent again: all of it, in two. A document alone is at
        fault itself."""
        if len(part) > 1:
            return _halves(part)
        why = str(reason(answer)) or f"the cluster answered {status}"
        size = f"the document of {len(part[0].lines)} bytes is refused: {why}"
        self._settle(part, Outcome(Status.REJECTED, size))
        return []

    def _too_busy(self, part: list[bulk.Item], status: int, answer: bytes) -> list[list[bulk.Item]]:
        """What of a request that the cluster had no room for is to be sent again."""
        busy = self._client.failure(status, answer)
        if self._pace.busy():
            return _halves(part)
        if len(part) > 1 or reason(answer).kind != "circuit_breaking_exception":
            raise busy
        self._settle(part, Outcome(Status.UNKNOWN, str(busy)))  # it may be too large
        return []

    def _answered(self, part: list[bulk.Item], answer: bytes) -> list[list[bulk.Item]]:
        """What of a request that was answered item by item is to be sent again."""
        found = bulk.outcomes_of(part, answer, self._index)
        if found is None:
            self._settle(part, Outcome(Status.UNKNOWN, str(self._client.rubbish(answer))))
            return []
        if found.count(bulk.APPLIED) == len(part):  # nearly always
            self._settle(part, bulk.APPLIED)
            self._pace.fine()
            return []
        left: list[bulk.Item] = []
        doubtful: dict[Key, str] = {}
        for one, outcome in zip(part, found, strict=True):
            key = self._changes[one.place].key
            if isinstance(outcome, bulk.Busy):
                doubtful[key] = outcome.reason
            else:
                self.outcomes[one.place] = outcome
            if key in doubtful:  # also what came after it for the same key: order is kept
                left.append(one)
        if not left:
            self._pace.fine()
            return []
        if len(left) < len(part):
            self._pace.moved()
        if not self._pace.busy():
            raise self._client.busy(next(iter(doubtful.values())))
        return _halves(left)

    def _settle(self, part: list[bulk.Item], outcome: Outcome) -> None:
        for one in part:
            self.outcomes[one.place] = outcome


def _halves(part: list[bulk.Item]) -> list[list[bulk.Item]]:
    """Two parts, the earlier one last: it is popped first."""
    middle = len(part) // 2
    return [half for half in (part[middle:], part[:middle]) if half]
