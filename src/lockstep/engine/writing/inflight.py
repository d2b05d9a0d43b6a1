"""Batches in flight: prepared, their intents durable, being written, not settled yet.

While the target takes one batch the next is read and derived, so that neither waits for the other. What keeps
that safe is kept here: a key in flight is not taken again (a second batch would decide against a ledger that
does not know the first), and batches land in the order in which they were taken, so that the committed
position is always the lowest unsettled one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from msgspec import Struct

from lockstep.engine.deriving.derive import Derived
from lockstep.engine.hints.batch import Batch
from lockstep.engine.writing.apply import Sending
from lockstep.engine.writing.decide import Decision
from lockstep.state.rows import Owned, Row
from lockstep.values import Key, Outcome, Version


class Part(Struct, frozen=True):
    """Some keys of a batch, all prepared: what settling it needs. `last`: nothing of the batch is left."""

    batch: Batch
    last: bool
    version: Version
    now: float
    rows: Mapping[Key, Row]
    derived: Mapping[Key, Derived]
    known: Mapping[Key, Mapping[Key, Owned]]
    decisions: Mapping[Key, Decision]
    sending: Sending


Send = Callable[[Sending], Sequence[Outcome]]


class InFlight:
    """The parts on their way, oldest first. `parallel`: how many writes at once the target takes.

    Where that is one, a part is written before `launch` returns, by the thread that calls it. `arrived` is
    set when one has landed.
    """

    def __init__(self, send: Send, parallel: int, arrived: threading.Event, name: str) -> None:
        self._send = send
        self._parallel = parallel
        self._arrived = arrived
        self._parts: deque[tuple[Part, Future[Sequence[Outcome]]]] = deque()
        self._keys: set[Key] = set()
        # One more than for bulk work, so that a live change never waits for a place.
        self._threads = ThreadPoolExecutor(parallel + 1, f"{name}-write") if parallel > 1 else None

    def __len__(self) -> int:
        return len(self._parts)

    def room(self) -> int:
        """How many more parts may be launched; the last place is for live changes."""
        most = 1 if self._threads is None else self._parallel + 1
        return most - len(self._parts)

    def holds(self, keys: Collection[Key]) -> bool:
        """Whether any of these keys is in flight."""
        return not self._keys.isdisjoint(keys)

    def launch(self, part: Part) -> None:
        if self._threads is None:
            future: Future[Sequence[Outcome]] = Future()
            future.set_result(self._send(part.sending))
        else:
            future = self._threads.submit(self._send, part.sending)
            future.add_done_callback(lambda _: self._arrived.set())
        self._parts.append((part, future))
        self._keys.update(part.derived)

    def landed(self) -> bool:
        """Whether the oldest part has its answer."""
        return bool(self._parts) and self._parts[0][1].done()

    def oldest(self) -> tuple[Part, Sequence[Outcome]]:
        """The oldest part and its outcomes, once it has landed. It stays until `settled`.

        Raises what writing it raised.
        """
        part, future = self._parts[0]
        return part, future.result()

    def settled(self) -> None:
        """The oldest part is settled."""
        part, _ = self._parts.popleft()
        self._keys.difference_update(part.derived)

    def clear(self) -> None:
        """Waits until nothing is being written any more, and forgets all of it."""
        for _, future in self._parts:
            future.exception()
        self._parts.clear()
        self._keys.clear()

    def close(self) -> None:
        self.clear()
        if self._threads is not None:
            self._threads.shutdown()
