"""Full spans: what is hinted of a source where its log alone is not enough, and why."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from lockstep.declaration.mapping import Mapping
from lockstep.engine.hints.addressed import everything
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.errors import Refused
from lockstep.ports import Capture, Reader, Source
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Trust

log = logging.getLogger("lockstep")


class Spanned(NamedTuple):
    """A consumer of which every key is hinted. `reason`: in words."""

    consumer: Consumer
    mapping: Mapping
    reason: str
    trust: Trust


class FullSpans:
    """Hints full spans for the consumers of one source."""

    def __init__(self, source: Source, store: Store, lease: Lease) -> None:
        self._source = source
        self._store = store
        self._lease = lease

    def hint(
        self,
        spans: Sequence[Spanned],
        capture: Capture,
        recoding: Collection[int],
    ) -> None:
        """Full spans of the root for consumers that cannot rely on the log alone; durable, then noted. The
        ledger of those in `recoding` stays the one of their code of before, until that is known."""
        if not spans:
            return
        with contextlib.closing(self._source.reader()) as reader:
            for one in spans:
                self._hint(one, capture, reader, recoding=one.consumer.id in recoding)

    def _hint(self, one: Spanned, capture: Capture, reader: Reader, *, recoding: bool) -> None:
        consumer, mapping, reason, trust = one
        if trust is Trust.TARGET:
            log.warning(
                "mapping %s: %s. So every key is derived again and compared with what the target "
                "holds; nobody needs to do anything.",
                *(mapping.name, reason),
            )
        else:
            log.info("mapping %s: all keys are derived: %s", mapping.name, reason)
        store, under = self._store, self._lease.under
        if not store.positions.of(consumer.id) or consumer.source != self._source.name:
            end = store.journal.end()
            begin = partial(store.positions.begin_at, consumer=consumer.id, source=self._source.name)
            under(partial(begin, offset=end))
        store.journal.append([everything(consumer.id, mapping.root.table.name, trust, token=capture.token)])
        passing("hinted")
        total = _estimate(reader, mapping)
        under(partial(store.backfills.begin, consumer=consumer.id, reason=reason, total=total))
        code = {} if recoding else {"version": mapping.version, "recipe": recipe(mapping)}
        running = partial(store.generations.set_consumer, consumer=consumer.id, state="running", reason=None)
        under(partial(running, source=self._source.name, **code))

    def hint_others(self, hole: str | None, lost: str | None, capture: Capture, mine: set[int]) -> None:
        """Full spans for consumers that are worked elsewhere, or later, and not `mine`. Nobody knows here
        what they read."""
        store, live = self._store, self._store.generations.consumers("running", "stopped")
        others = [
            one
            for one in (*store.generations.beside(self._source.name), *live)
            if one.source == self._source.name and one.id not in mine
        ]
        trust = Trust.LEDGER if hole is None else Trust.TARGET
        why = "capture began" if hole is None else f"the log has a hole: {hole}"
        for one in others:
            if lost is not None:
                end = store.journal.end()
                self._lease.under(partial(store.positions.forget, consumer=one.id))
                self._lease.under(
                    partial(store.positions.begin_at, consumer=one.id, source=one.source, offset=end)
                )
            store.journal.append([everything(one.id, "", trust, token=capture.token)])
            total = store.ledger.count(one.id)
            self._lease.under(partial(store.backfills.begin, consumer=one.id, reason=why, total=total))


def _estimate(reader: Reader, mapping: Mapping) -> int:
    try:
        return reader.estimate(mapping.root.table)
    except Refused:  # the table is held, or will be
        return 0
