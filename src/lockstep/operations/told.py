"""What tables and events tell of a span of time, as happenings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lockstep.limits import CHANGES
from lockstep.operations.bursts import bursts
from lockstep.operations.happening import Happening, Told
from lockstep.state.events import Event
from lockstep.state.holds import Hold
from lockstep.state.recorded import CheckSpan, Minute, PassSpan, RunSpan
from lockstep.state.store import Store

_OUTCOMES = {
    "done": "did all there was to do",
    "stopped": "was stopped",
    "failed": "failed: it could not go on",
}
_OF_COMMANDS = {"stopped": "came to its end", "failed": "ended before it was done"}


def told(store: Store, after: float, until: float) -> Iterator[Happening]:
    """All that happened then, and some of what happened around it; table by table, not in order."""
    recorded, running = store.recorded, store.lock.holder() is not None
    for event in store.events.since(after, until):
        yield _event(event)
    for run in recorded.runs(after, until):
        yield from _run(run, running=running)
    for hold in store.holds.between(after, until):
        yield from _hold(hold)
    for check in recorded.checks(after, until):
        yield _check(check)
    for one in recorded.passes(after, until):
        yield from _pass(one)
    for made in recorded.builds(after, until):
        yield Happening(made.created_at, Told.BUILD_MADE, made.target, f"build {made.number} was begun")
    for stuck in recorded.still_stuck(after, until):
        keys = "1 key is" if stuck.keys == 1 else f"{stuck.keys:,} keys are"
        text = f"{keys} stuck since ({stuck.stage}): {stuck.error}"
        numbers = {"keys": stuck.keys}
        yield Happening(stuck.first_at, Told.STILL_STUCK, stuck.mapping, text, numbers=numbers)
    for let in recorded.accepted(after, until):
        others = f" and {let.divergences - 1:,} more" if let.divergences > 1 else ""
        text = f"let be as it is: {let.subject}{others}"
        yield Happening(let.at, Told.ACCEPTED, let.mapping, text, let.by, let.because)
    for target, name, at in recorded.unfinished(after, until):
        yield Happening(at, Told.SNAPSHOT_BEGAN, target, f"saved state {name} is not whole")
    for target, name, at in recorded.drills(after, until):
        yield Happening(at, Told.DRILL_BEGAN, target, f"with saved state {name}")
    yield from _bursts(recorded.minutes(after, until))


def _event(event: Event) -> Happening:
    seconds = (event.numbers or {}).get("seconds")
    lasted = float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None
    return Happening(
        event.at, event.kind, event.subject, event.text, event.who, event.why, lasted, event.numbers
    )


def _run(run: RunSpan, *, running: bool) -> Iterator[Happening]:
    subject, named, outcomes = f"run {run.id}", "", _OUTCOMES
    if run.command not in (None, "run"):  # it followed the sources, as no run went on
        named, outcomes = f"lockstep {run.command}: ", _OF_COMMANDS
    yield Happening(run.started_at, Told.RUN_BEGAN, subject, f"{named}by {run.holder}")
    if run.ended_at is not None:
        text = named + outcomes.get(run.outcome or "", f"ended: {run.outcome}")
        seconds = _lasted(run.started_at, run.ended_at)
        yield Happening(run.ended_at, Told.RUN_ENDED, subject, text, seconds=seconds)
    elif not (run.newest and running):
        text = f"{named}{run.holder} was killed, or its machine went down; it was last seen then"
        seconds = _lasted(run.started_at, run.seen_at)
        yield Happening(run.seen_at, Told.RUN_DIED, subject, text, seconds=seconds)


def _hold(hold: Hold) -> Iterator[Happening]:
    numbers = {"hold": hold.id, "policy": hold.policy, "expected": hold.expected}
    yield Happening(
        hold.opened_at, Told.HELD, hold.mapping, f"hold {hold.id}: {hold.reason}", numbers=numbers
    )
    if hold.decided_at is not None:
        kind, said = Told.REJECTED, f"hold {hold.id}: it must not happen"
        if hold.most is not None:
            kind, kinds = Told.APPROVED, " and ".join(CHANGES[kind] for kind in hold.kinds)
            said = (
                f"hold {hold.id}: at most {hold.most:,} {kinds}"
                if kinds
                else f"hold {hold.id}: it tries again"
            )
            numbers = {**numbers, "most": hold.most}
        waited = _lasted(hold.opened_at, hold.decided_at)
        yield Happening(hold.decided_at, kind, hold.mapping, said, hold.decided_by, hold.why, waited, numbers)
    if hold.closed_at is not None:
        allowed = hold.most is not None and hold.kinds
        used = f"{hold.used:,} of {hold.most:,} were made" if allowed else "nothing asks for it"
        yield Happening(
            hold.closed_at,
            Told.RELEASED,
            hold.mapping,
            f"hold {hold.id} is over: {used}",
            seconds=_lasted(hold.opened_at, hold.closed_at),
            numbers={**numbers, "used": hold.used},
        )


def _check(check: CheckSpan) -> Happening:
    kind, text = Told.CHECK_DIFFERED, f"{check.method} check: {check.verdict}"
    if check.verdict == "agreement":
        excused = f", {check.accepted:,} accepted before" if check.accepted else ""
        kind = Told.CHECK_AGREED
        text = f"{check.method} check: in agreement, {check.records_compared:,} records{excused}"
    elif check.verdict.startswith("cancelled"):
        kind = Told.CHECK_CANCELLED
    seconds = _lasted(check.started_at, check.ended_at)
    numbers = {"report": check.id, "records": check.records_compared}
    return Happening(
        check.ended_at,
        kind,
        check.mapping,
        f"{text} (report {check.id})",
        seconds=seconds,
        numbers=numbers,
    )


def _pass(one: PassSpan) -> Iterator[Happening]:
    if one.reason != "asked":  # that somebody asked is an event, with who it was
        keys = f"about {one.total:,} keys" if one.total else "no keys"
        text = f"over {keys}: {one.reason}"
        yield Happening(one.started_at, Told.PASS_BEGAN, one.mapping, text, numbers={"keys": one.total})
    if one.finished_at is not None:
        seconds = _lasted(one.started_at, one.finished_at)
        text, numbers = f"{one.done:,} keys were derived: {one.reason}", {"keys": one.done}
        yield Happening(one.finished_at, Told.PASS_ENDED, one.mapping, text, seconds=seconds, numbers=numbers)


def _bursts(minutes: list[Minute]) -> Iterator[Happening]:
    for (_, target), some in itertools.groupby(minutes, lambda one: (one.generation, one.target)):
        for burst in bursts([(one.minute, one.updates, one.removes) for one in some]):
            usual = (
                f"usual are at most {burst.usual_updates:,} and {burst.usual_removes:,} a minute"
                if burst.usual_updates or burst.usual_removes
                else "nothing of the time before says what is usual"
            )
            yield Happening(
                burst.minute * 60.0,
                Told.BURST,
                target,
                f"{burst.updates:,} records were changed and {burst.removes:,} removed; {usual}",
                seconds=burst.minutes * 60.0,
                numbers={
                    "updates": burst.updates,
                    "removes": burst.removes,
                    "usual_updates": burst.usual_updates,
                    "usual_removes": burst.usual_removes,
                },
            )


def _lasted(begun: float, ended: float) -> float:
    """Seconds; none where the clock was set back meanwhile."""
    return round(max(ended - begun, 0.0), 3)
