"""Trying again where most keys failed: the hold that is shown meanwhile, and what closes it."""

from __future__ import annotations

import time
from functools import partial

from lockstep.engine.consumers.loop import Loop
from lockstep.engine.holds.asking import Asking
from lockstep.engine.holds.breaker import PROBE, Breaker, MostFail
from lockstep.engine.lease import Lease
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Lane, Trust


class Trying:
    """The error-share hold of one consumer. It survives a restart, which tries a few keys first."""

    def __init__(self, store: Store, lease: Lease, consumer: Consumer, asking: Asking) -> None:
        self._store = store
        self._lease = lease
        self._consumer = consumer
        self._asking = asking
        self._probing = False

    def failed(self, most: MostFail, breaker: Breaker) -> None:
        """Nothing more is tried for a while, and a person is told."""
        before = self._asking.broken
        if before is not None and before.state == "approved":
            most.held.beyond = (before.id,)  # somebody had said that it is mended
        self._asking.ask(most.held, breaker.wait)
        self._probing = False

    def tries(self, breaker: Breaker) -> None:
        """Before each step: while the hold stands only a few keys are tried; it ends once they go well."""
        broken = self._asking.broken
        if broken is None:
            self._probing = False
        elif not self._probing:
            breaker.half_open()
            self._probing = True
        elif not breaker.probing:
            self._asking.settled(broken)
            self._probing = False

    def probe(self, loop: Loop) -> bool:
        """Where nothing waits: some stuck keys are tried before their time. Whether there are some."""
        due = partial(
            self._store.stuck.due, consumer=self._consumer.id, now=time.time(), limit=PROBE, early=True
        )
        some = self._lease.under(due)
        if some:
            loop.hint(some, "retry", Trust.LEDGER, Lane.BULK, origin=1)
        return bool(some)
