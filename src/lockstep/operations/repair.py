"""repair: hints for exactly the keys that checks found to differ, through the ordinary path and its guard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lockstep.agreement.report import Divergence
from lockstep.database import Access
from lockstep.engine.addressed import addressed
from lockstep.engine.lease import Lease
from lockstep.errors import StateError
from lockstep.mapping import Mapping
from lockstep.operations.opened import consumer_of, existing
from lockstep.pipeline import Pipeline
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Key, Lane, Trust

_FAILED = "it cannot be derived: mend the cause, then `lockstep retry`"
_STRANGER = "Lockstep did not write it; remove it by hand if nobody needs it"
_BUSY = "its target key does not follow from its source key: stop the run, then repair again"


class Left(Struct, frozen=True):
    """A divergence that is not repaired, and why."""

    subject: str
    kind: str
    reason: str


class Repair(Struct, frozen=True):
    """What is repaired: keys by kind, and what is left alone. `running`: who carries it out, None when the
    next run will. `more`: divergences that the newest check counted and did not keep, as it keeps a thousand:
    verify and repair again. `asked`: False for a plan alone."""

    mapping: str
    report: int | None
    keys: dict[str, int]
    left: tuple[Left, ...]
    more: int
    running: str | None
    asked: bool


def repair(pipeline: Pipeline, mapping: str, *, only: Sequence[str] = (), dry_run: bool = False) -> Repair:
    """Repairs what the checks of a mapping have found and is open, or the kinds in `only`.

    Each key is derived again and compared with what the target holds now; what differs is written. A record
    that carries this mapping's metadata and that nobody derives is removed; any other is left. What a person
    has accepted is left as well. Raises StateError when no check was made yet.
    """
    declared = pipeline.named(mapping)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = consumer_of(store, mapping, declared.target.name)
        newest = store.reports.newest(mapping, 1)
        if not newest:
            raise StateError(
                f"nothing is known to repair: {mapping} was not verified yet",
                f"`lockstep verify {mapping}` finds what differs.",
            )
        wanted, found, left = _plan(declared, store, consumer, set(only))
        if not dry_run and wanted:
            if found:
                _adopt(declared, store, consumer, found)
            keys = {key for some in wanted.values() for key in some}
            table = declared.root.table.name
            store.journal.append(
                addressed(consumer.id, table, sorted(keys), "repair", Trust.TARGET, Lane.LIVE)
            )
        body = msgspec.json.decode(newest[0].body)
        more = max(sum(body["counts"].values()) - len(body["divergences"]), 0)
        counts = {kind: len(some) for kind, some in sorted(wanted.items())}
        running = store.lock.holder() if not found or dry_run else None
        return Repair(mapping, newest[0].id, counts, tuple(left), more, running, not dry_run)


def _plan(
    mapping: Mapping, store: Store, consumer: Consumer, only: set[str]
) -> tuple[dict[str, set[Key]], dict[Key, list[Key]], list[Left]]:
    """Keys by kind; records to take over before, by source key; and what is left."""
    wanted: dict[str, set[Key]] = defaultdict(set)
    found: dict[Key, list[Key]] = defaultdict(list)
    left: list[Left] = []
    running = store.lock.holder() is not None
    for one in store.reports.divergences(consumer.id):
        if one.accepted_at is not None or (only and one.kind not in only):
            continue
        divergence = msgspec.json.decode(one.body, type=Divergence)
        if one.kind == "failed":
            left.append(Left(one.subject, one.kind, _FAILED))
        elif divergence.source is None:
            left.append(Left(one.subject, one.kind, _STRANGER))
        elif one.kind == "extra" and divergence.target is not None and not _follows(mapping, divergence):
            if running:
                left.append(Left(one.subject, one.kind, _BUSY))
            else:
                found[divergence.source].append(divergence.target)
                wanted[one.kind].add(divergence.source)
        else:
            wanted[one.kind].add(divergence.source)
    return wanted, found, left


def _follows(mapping: Mapping, one: Divergence) -> bool:
    """Whether deriving the source key looks at this target key by itself."""
    assert one.source is not None
    return mapping.key_is_root_key and mapping.default_key(one.source) == one.target


def _adopt(mapping: Mapping, store: Store, consumer: Consumer, found: dict[Key, list[Key]]) -> None:
    """Enters records that the ledger may not know as void rows, with the lock of a run."""
    store.lock.take()
    lease = Lease(store)
    lease.under(
        lambda epoch: store.ledger.adopt(
            epoch,
            consumer.generation,
            consumer.id,
            found,
            mapping.default_key,
            claiming=store.generations.claims(consumer.id),
        )
    )
