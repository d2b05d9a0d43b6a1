"""repair: hints for exactly the keys that checks found to differ, through the ordinary path and its guard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from lockstep.agreement.report import Divergence, subject
from lockstep.database import Access
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.hints.addressed import addressed
from lockstep.engine.lease import Lease
from lockstep.errors import NothingYet
from lockstep.forms import keys
from lockstep.operations import strangers
from lockstep.operations.opened import consumer_of, existing
from lockstep.operations.reports import no_report
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.lock import user
from lockstep.state.reports import Open, Stored
from lockstep.state.store import Store
from lockstep.values import Key, Lane, Trust

_FAILED = "it cannot be derived: mend the cause, then `lockstep retry`"
_STRANGER = "Lockstep did not write it; `--extras` removes what nobody needs"
_THEIRS = "mapping {0} writes it: `lockstep verify {0}`, then `lockstep repair {0}`"
_APART = "an aggregate is not written: what differs below it is, or the invariant is to be corrected"
_BUSY = "its target key does not follow from its source key: stop the run, then repair again"
_HELD = "the guard holds it: {}; allow more by the mapping's `guard=ls.Guard(free=…)`, or remove it yourself"
_NOT_NOW = "Lockstep did not write it: stop the run to remove it"


class Left(Struct, frozen=True):
    """A divergence that is not repaired, and why."""

    subject: str
    kind: str
    reason: str


class Repair(Struct, frozen=True):
    """What is repaired: keys by kind, and what is left alone. `running`: who carries it out, None when the
    next run will. `more`: divergences that the newest check counted and did not keep, as it keeps a thousand:
    verify and repair again. `asked`: False for a plan alone. `removed`: records that no mapping wrote, which
    are removed at once."""

    mapping: str
    report: int | None
    keys: dict[str, int]
    left: tuple[Left, ...]
    more: int
    running: str | None
    asked: bool
    removed: int = 0


def repair(
    pipeline: Pipeline,
    mapping: str | None = None,
    *,
    report: int | None = None,
    only: Sequence[str] = (),
    extras: bool = False,
    but: Collection[str] = (),
    dry_run: bool = False,
    by: str | None = None,
) -> Repair:
    """Repairs what the checks of a mapping have found and is open, or the kinds in `only`.

    `report`: only what is open of what this one found; it tells the mapping. `but`: subjects that are let be.
    `by`: who asks, for the timeline; whoever is logged in.
    Each key is derived again and
    compared with what the target holds now; what differs is written. A record that carries this mapping's
    metadata and that nobody derives is removed; with `extras` also what no mapping wrote, as long as no run
    works and the mapping's guard lets all of them go; else it is left. What a person has accepted is left as
    well. Raises NothingYet when no check was made yet, or there is no such report.
    """
    with existing(pipeline, Access.CHANGE) as store:
        declared, consumer, newest = _of(pipeline, store, mapping, report)
        body = msgspec.json.decode(newest.body)
        found = [
            one
            for one in store.reports.divergences(consumer.id)
            if one.accepted_at is None
            and (not only or one.kind in only)
            and one.subject not in but
            and (report is None or _names(body, one))
        ]
        opened = [(one, msgspec.json.decode(one.body, type=Divergence)) for one in found]
        stray = [one.target for _, one in opened if one.source is None and one.target is not None]
        theirs = {key: one.mapping for key, one in store.ledger.claimed(consumer.generation, stray).items()}
        plan = _planned(declared, opened, theirs, running=store.lock.holder() is not None, extras=extras)
        left = plan.left
        held = strangers.held_back(declared, store, consumer, plan.strangers)
        if held is not None:
            reason = _HELD.format(held)
            left += [Left(subject(None, keys.text(key)), "extra", reason) for key in plan.strangers]
            plan.strangers.clear()
        before = len(left)
        alone = bool(plan.found or plan.strangers)  # what is not to happen beside a run
        if not dry_run and alone:
            store.lock.take()
            lease = Lease(store)
            _adopt(declared, store, lease, consumer, plan.found)
            known = [declared.name, *(other.name for other in pipeline.beside(declared))]
            for key, reason in strangers.remove(declared, store, lease, consumer, plan.strangers, known):
                left.append(Left(subject(None, keys.text(key)), "extra", reason))
        if not dry_run and plan.wanted:
            asked = {key for some in plan.wanted.values() for key in some}
            table = declared.root.table.name
            store.journal.append(
                addressed(consumer.id, table, sorted(asked), "repair", Trust.TARGET, Lane.LIVE)
            )
        more = max(sum(body["counts"].values()) - len(body["divergences"]), 0)
        counts = {kind: len(some) for kind, some in sorted(plan.wanted.items())}
        running = store.lock.holder() if dry_run or not alone else None
        removed = len(plan.strangers) - (len(left) - before)
        if not dry_run and (counts or removed):
            said = counts | ({"removed": removed} if removed else {})
            _note(store, declared.name, newest.id, said, by or user())
        return Repair(declared.name, newest.id, counts, tuple(left), more, running, not dry_run, removed)


def _note(store: Store, mapping: str, report: int, counts: dict[str, int], by: str) -> None:
    """For the timeline."""
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    text = f"asked to repair what checks found up to report {report}: {said}"
    numbers = {"report": report, **counts}
    store.events.note(Kind.REPAIR_ASKED, mapping, text, who=by, numbers=numbers)


def _of(
    pipeline: Pipeline, store: Store, mapping: str | None, report: int | None
) -> tuple[Mapping, Consumer, Stored]:
    """What is to be repaired: a mapping and the report it is about."""
    if report is not None:
        known = store.reports.get(report)
        if known is None:
            raise no_report(report)
        declared = pipeline.named(known[1].mapping)
        return declared, consumer_of(store, declared.name, declared.target.name), known[1]
    assert mapping is not None
    declared = pipeline.named(mapping)
    consumer = consumer_of(store, mapping, declared.target.name)
    newest = store.reports.newest(mapping, 1)
    if not newest:
        raise NothingYet(
            f"nothing is known to repair: {mapping} was not verified yet",
            f"`lockstep verify {mapping}` finds what differs.",
        )
    return declared, consumer, newest[0]


def _names(report: dict[str, Any], one: Open) -> bool:
    """Whether a report found it, though a later one may have seen it again."""
    return one.report == report.get("id") or any(
        (subject(found["key"], found["target_key"]), found["kind"]) == (one.subject, one.kind)
        for found in report["divergences"]
    )


class _Planned(NamedTuple):
    """Keys by kind; records to take over before, by source key; what no mapping wrote; and what is left."""

    wanted: dict[str, set[Key]]
    found: dict[Key, list[Key]]
    strangers: list[Key]
    left: list[Left]


def _planned(
    mapping: Mapping,
    opened: Sequence[tuple[Open, Divergence]],
    theirs: dict[Key, str],
    *,
    running: bool,
    extras: bool,
) -> _Planned:
    """`theirs`: target keys that mappings have claimed, whatever stands there by now."""
    plan = _Planned(defaultdict(set), defaultdict(list), [], [])
    for one, divergence in opened:
        if one.kind == "failed":
            plan.left.append(Left(one.subject, one.kind, _FAILED))
        elif divergence.source is None and divergence.target is None:
            plan.left.append(Left(one.subject, one.kind, _APART))
        elif divergence.source is None and divergence.target in theirs:
            plan.left.append(Left(one.subject, one.kind, _THEIRS.format(theirs[divergence.target])))
        elif divergence.source is None and extras and divergence.target is not None and not running:
            plan.strangers.append(divergence.target)
        elif divergence.source is None:
            plan.left.append(Left(one.subject, one.kind, _NOT_NOW if extras and running else _STRANGER))
        elif one.kind == "extra" and divergence.target is not None and not _follows(mapping, divergence):
            if running:
                plan.left.append(Left(one.subject, one.kind, _BUSY))
            else:
                plan.found[divergence.source].append(divergence.target)
                plan.wanted[one.kind].add(divergence.source)
        else:
            plan.wanted[one.kind].add(divergence.source)
    if "unsettled" in plan.wanted:  # what a check found before one could not judge it: it is one key
        rest = plan.wanted.pop("unsettled").difference(*plan.wanted.values())
        plan.wanted.update({"unsettled": rest} if rest else {})
    return plan


def _follows(mapping: Mapping, one: Divergence) -> bool:
    """Whether deriving the source key looks at this target key by itself."""
    assert one.source is not None
    return mapping.key_is_root_key and mapping.default_key(one.source) == one.target


def _adopt(
    mapping: Mapping, store: Store, lease: Lease, consumer: Consumer, found: dict[Key, list[Key]]
) -> None:
    """Enters records that the ledger may not know as void rows."""
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
