"""stuck, retry: the keys that failed, and another try for them."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.hints.addressed import addressed
from lockstep.operations.opened import consumer_of, existing, parse_keys
from lockstep.place import Place
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.store import Store
from lockstep.state.stuck import Stuck
from lockstep.values import Lane, Trust


def stuck(state: Place | Pipeline, mapping: str | None = None, limit: int = 1000) -> list[Stuck]:
    """The stuck keys of a mapping, or of all, the longest stuck first."""
    with existing(state) as store:
        consumers = (
            [consumer_of(store, mapping)] if mapping else store.generations.consumers("running", "stopped")
        )
        return [one for consumer in consumers for one in store.stuck.of(consumer.id, limit=limit)]


def retry(pipeline: Pipeline, mapping: str, typed: Sequence[str] = ()) -> int:
    """Hints these keys, or all stuck keys of a mapping; how many.

    The run tries those named at once, and all of them a thousand at a time.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = consumer_of(store, mapping, declared.target.name)
        if not typed:
            count = store.stuck.retry_all(consumer.id)
            _note(store, mapping, count)
            return count
        wanted = parse_keys(declared, typed)
        table = declared.root.table.name
        store.journal.append(addressed(consumer.id, table, wanted, "retry", Trust.LEDGER, Lane.LIVE))
        _note(store, mapping, len(wanted))
        return len(wanted)


def _note(store: Store, mapping: str, count: int) -> None:
    """For the timeline."""
    text = f"asked to try {count:,} {'key' if count == 1 else 'keys'} again"
    store.events.note(Kind.RETRY_ASKED, mapping, text, who=user(), numbers={"keys": count})
