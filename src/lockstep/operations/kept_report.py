"""A check's report as it is kept: with probable causes, and without what a person has accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import msgspec

from lockstep.agreement.cause import cause
from lockstep.agreement.report import Divergence, Report
from lockstep.state.generations import Consumer
from lockstep.state.reports import encoded
from lockstep.state.store import Store


def kept_report(
    report: Report, store: Store, consumer: Consumer, *, changed: bool, unjudged: Collection[str] | None
) -> Report:
    """The report, durable, with the probable cause of each divergence and without what is accepted.

    `unjudged`: names of what it could say nothing certain of (`Divergence.name`), which it therefore does not
    close; None: it does not know them all, and closes nothing.
    """
    causes = _causes(report, store, consumer, changed=changed)
    divergences = [
        msgspec.structs.replace(one, cause=why) for one, why in zip(report.divergences, causes, strict=True)
    ]
    before = store.reports.accepted(consumer.id)
    accepted = {
        (one.subject, one.kind)
        for one in divergences
        if _as_accepted(one, before.get((one.subject, one.kind)))
    }
    shown = [one for one in divergences if (one.subject, one.kind) not in accepted]
    counts = Counter(report.counts)
    counts.subtract(kind for _, kind in accepted)
    counts = +counts
    report = msgspec.structs.replace(
        report,
        agreement=not counts and not report.cancelled,
        counts=dict(counts),
        divergences=tuple(shown),
        accepted=len(divergences) - len(shown),
    )
    found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    if report.cancelled:
        found = f"cancelled; {found}" if found else "cancelled"
    number = store.reports.add(
        consumer.id,
        report.mapping,
        report.method,
        report.started_at,
        found or "agreement",
        encoded(report),
        [(one.subject, one.kind, encoded(one)) for one in divergences],
        accepted=accepted,
        whole=counts.total() == len(shown) and not report.cancelled and unjudged is not None,
        unjudged=unjudged or (),
        since=report.resumed_at or report.started_at,
    )
    if report.cancelled:  # it proves nothing
        return msgspec.structs.replace(report, id=number)
    if report.method == "deep":
        store.checks.forget(consumer.id)
    store.generations.note_verified(consumer.id, report.started_at, found or "agreement")
    return msgspec.structs.replace(report, id=number)


def _as_accepted(one: Divergence, accepted: bytes | None) -> bool:
    """Whether it is what a person accepted: the same fields differ in the same way."""
    if accepted is None:
        return False
    now, then = (msgspec.json.decode(body, type=Divergence) for body in (encoded(one), accepted))
    return now.difference == then.difference


def _causes(report: Report, store: Store, consumer: Consumer, *, changed: bool) -> list[str]:
    wanted = [one.source for one in report.divergences if one.source is not None]
    rows = store.ledger.rows(consumer.id, wanted)
    stuck = {one.key for one in store.stuck.of(consumer.id, wanted)} if wanted else set()
    return [
        cause(
            one,
            None if one.source is None else rows.get(one.source),
            stuck=one.source in stuck,
            mapping_changed=changed,
        )
        for one in report.divergences
    ]
