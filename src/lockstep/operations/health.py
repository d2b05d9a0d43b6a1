"""health: what is ill, and what a person does about it. Tied to progress, never to a process being there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from lockstep.engine.sources.kept import size
from lockstep.limits import REFILL
from lockstep.operations.standing import Ill, MappingStatus, Status

PATIENCE = 120.0
"""Seconds without progress after which something is ill, where nobody says otherwise."""

UNSEEN = 20.0
"""Seconds after which a run that has not shown itself, which it does every second, hangs or is stopped."""

UNFOLLOWED = "unfollowed"
"""State of a mapping whose live build nobody works, as the run that goes on has the code of another one."""

RESTART_MENDS = frozenset({"dead", "wedged"})
"""What is ill in a way that a restart of the run mends: the rest is for somebody else."""

_WEDGED = "It hangs: restart the run. Nothing is lost: it goes on from what is committed."


def health(
    status: Status,
    *,
    patience: float = PATIENCE,
    verified_within: float | None = None,
) -> list[Ill]:
    """What is ill, the blocking first. `verified_within`: how old the last proof of agreement may be."""
    at = time.time()
    found = [*_run(status, patience, at)]
    alive = not any(ill.kind in RESTART_MENDS for ill in found)
    for name, gauges in status.sources.items():
        if alive:
            found += _worker(f"source {name}", gauges, patience, at)
        found += _log(name, gauges, running=status.running is not None)
    for mapping in status.mappings:
        if not _stopped_by_hold(mapping, status):  # the hold says it, and what a person can do
            found += _mapping(mapping, patience, at, alive=alive)
        if verified_within is not None:
            found += _verified(mapping, verified_within, at)
    found += _held(status)
    return sorted(found, key=lambda ill: not ill.blocks)


def _run(status: Status, patience: float, now: float) -> Iterator[Ill]:
    if status.running is None:
        how = {"died": "the last run died", "failed": "the last run failed"}.get(
            status.last_outcome or "", ""
        )
        yield Ill("run", "dead", f"nobody runs the pipeline{how and f'; {how}'}", "Start `lockstep run`.")
    elif status.seen_at is not None and now - status.seen_at > min(UNSEEN, patience):
        problem = f"the run ({status.running}) has not shown itself for {_span(now - status.seen_at)}"
        yield Ill("run", "wedged", problem, _WEDGED)


def _worker(subject: str, gauges: Mapping[str, Any], patience: float, now: float) -> Iterator[Ill]:
    """What a thread of the run shows of itself."""
    reason = f": {gauges['reason']}" if gauges.get("reason") else ""
    since = gauges.get("waiting_since")
    if gauges.get("state") == "stopped":
        yield Ill(subject, "stopped", f"it stopped{reason}", "Mend that, then restart `lockstep run`.")
    elif now - gauges.get("beat", now) > patience:
        yield Ill(subject, "wedged", f"its thread has not moved for {_span(now - gauges['beat'])}", _WEDGED)
    elif since is not None and now - min(since, gauges["progress"]) > patience:
        problem = f"it has been waiting for {_span(now - since)}{reason}"
        yield Ill(subject, "waiting", problem, "It goes on by itself once that is mended.")
    elif since is None and now - gauges.get("progress", now) > patience:
        problem = (
            f"its position has not advanced for {_span(now - gauges['progress'])}, and there is more to do"
        )
        yield Ill(subject, "behind", f"{problem}{reason}", "Look at what it waits for, and at its log.")


def _mapping(mapping: MappingStatus, patience: float, now: float, *, alive: bool) -> Iterator[Ill]:
    subject = f"mapping {mapping.name}"
    if mapping.state == "stopped":
        waiting = mapping.waiting_live + mapping.waiting_bulk
        kept = f" ({waiting:,} hints wait for it; after a week they become one full pass)" if waiting else ""
        yield Ill(
            subject,
            "stopped",
            f"it stopped{kept}: {(mapping.reason or '').rstrip('.')}",
            "Mend that, then restart `lockstep run`. The other mappings go on.",
        )
    elif mapping.state == UNFOLLOWED:
        yield Ill(
            subject, UNFOLLOWED, mapping.reason, "End that run, then start `lockstep run` with this code."
        )
    elif alive and mapping.state != "held":
        yield from _worker(subject, mapping.gauges, patience, now)


def _stopped_by_hold(mapping: MappingStatus, status: Status) -> bool:
    """Whether it ended (`run --once` does not wait for a person) with what is still held."""
    return mapping.state == "stopped" and any(
        hold.mapping == mapping.name and hold.state != "approved" and hold.reason in mapping.reason
        for hold in status.holds
    )


def _held(status: Status) -> Iterator[Ill]:
    for hold in status.holds:
        if hold.state == "approved":
            continue
        said = f"; rejected by {hold.decided_by}: {hold.why}" if hold.state == "rejected" else ""
        yield Ill(
            f"mapping {hold.mapping}",
            "held",
            f"the guard holds it ({hold.policy}, hold {hold.id}): {hold.reason}{said}",
            f"`lockstep approve {hold.id} --why TEXT` lets it go; or mend the "
            f"{'target' if REFILL in hold.kinds else 'source'}: it goes on by itself.",
        )


def _log(name: str, gauges: Mapping[str, Any], *, running: bool) -> Iterator[Ill]:
    """What the source keeps of its log because of us, before it hurts."""
    subject = f"source {name}"
    kept = gauges.get("retained")
    if gauges.get("warning"):
        yield Ill(subject, "log", gauges["warning"], gauges.get("remedy", ""), blocks=False)
    if not running and kept is not None and gauges.get("retained_unit") == "bytes":
        room = gauges.get("room")
        until = "until its disk is full" if room is None else f"for {size(room)} more, and gives us up then"
        yield Ill(
            subject,
            "log",
            f"while nobody runs the pipeline, the server keeps its log for us ({size(kept)} when seen), "
            f"{until}",
            "Start `lockstep run`; or, to give it up, drop the replication slot: the next run makes another "
            "and compares everything.",
            blocks=False,
        )


def _verified(mapping: MappingStatus, within: float, now: float) -> Iterator[Ill]:
    subject, mend = f"mapping {mapping.name}", f"Run `lockstep verify {mapping.name}`."
    if mapping.verified_at is None:
        yield Ill(subject, "verify", "it was never verified", mend)
    elif mapping.verdict != "agreement":
        when = _span(now - mapping.verified_at)
        yield Ill(subject, "verify", f"it was not in agreement {when} ago: {mapping.verdict}", mend)
    elif now - mapping.verified_at > within:
        yield Ill(subject, "verify", f"it was last verified {_span(now - mapping.verified_at)} ago", mend)


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"
