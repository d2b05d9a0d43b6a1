"""reports, report, accept: what checks found, and what became of it. Reads the state store alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from lockstep.agreement.report import Divergence, subject
from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import UsageError
from lockstep.operations.opened import consumer_of, existing, is_text
from lockstep.place import Place
from lockstep.state.reports import Open, Stored


class Line(Struct, frozen=True):
    """A report, in a line."""

    id: int
    mapping: str
    method: str
    started_at: float
    verdict: str


class Found(Struct, frozen=True):
    """A divergence of a report, and what became of it: open, closed or accepted."""

    subject: str
    kind: str
    state: str
    first_at: float
    last_at: float
    closed_at: float | None
    accepted_by: str | None
    because: str | None
    divergence: dict[str, Any]


class Whole(Struct, frozen=True):
    """A report, whole. `agreement` now: what it found is closed or accepted, or it found nothing; never of a
    check that was cancelled. `later`: the newest report that saw some of it again, and tells what became of
    that."""

    id: int
    agreement: bool
    report: dict[str, Any]
    divergences: tuple[Found, ...]
    later: int | None = None


def reports(state: Place | Pipeline, mapping: str | None = None, limit: int = 20) -> list[Line]:
    """The newest reports first. Raises StateError where no run knows the mapping."""
    with existing(state) as store:
        if mapping is not None:
            consumer_of(store, mapping)
        return [_line(one) for one in store.reports.newest(mapping, limit)]


def report(state: Place | Pipeline, number: int) -> Whole:
    """One report. Raises StateError where there is none of that number."""
    with existing(state) as store:
        known = store.reports.get(number)
        if known is None:
            raise no_report(number)
        consumer, stored = known
        body = msgspec.json.decode(stored.body)
        body["id"] = stored.id
        found = tuple(_found(one) for one in store.reports.divergences(consumer, number))
        opened = [one for one in found if one.state == "open"]
        # Those of its divergences that a later check saw again are told of there.
        seen = {(one.subject, one.kind) for one in found}
        open_now = {(one.subject, one.kind): one.report for one in store.reports.divergences(consumer)}
        again = open_now.keys() - seen
        named = {(subject(one["key"], one["target_key"]), one["kind"]) for one in body["divergences"]}
        whole = sum(body["counts"].values()) == len(body["divergences"])
        ended = not body.get("cancelled", False)  # else it says nothing of what it did not come to
        agreement = body["agreement"] or (ended and whole and not opened and not named & again)
        later = max((open_now[one] for one in named & again), default=None)
        return Whole(stored.id, agreement, body, found, later)


def accept(state: Place | Pipeline, number: int, name: str, *, because: str, by: str) -> int:
    """Accepts what is open under a name, as a report shows it; how many divergences. Raises StateError, and
    UsageError where a later check saw something else of it: who reads this report has not looked at that."""
    if not because.strip():
        raise UsageError("an accepted divergence needs a reason", "Say why: --because TEXT.")
    with existing(state, Access.CHANGE) as store:
        known = store.reports.get(number)
        if known is None:
            raise no_report(number)
        consumer, stored = known
        opened = store.reports.divergences(consumer)
        meant = next(
            (some for one in _meant(name) if (some := [of for of in opened if of.subject == one])), []
        )
        if not meant:
            raise UsageError(
                f"nothing is open of {name!r} in mapping {stored.mapping}",
                f"`lockstep report {number}` shows what it found, by the names to give here.",
            )
        shown = [one.difference for one in msgspec.json.decode(stored.body, type=_Shown).divergences]
        for one in meant:
            now = msgspec.json.decode(one.body, type=Divergence)
            if one.report != number and now.difference not in shown:
                raise UsageError(
                    f"what is open of {name!r} by now is not what report {number} says of it",
                    f"`lockstep report {one.report}` shows it; accept it there, if it may be so.",
                )
        return store.reports.accept(consumer, meant[0].subject, by, because)


class _Shown(Struct, frozen=True):
    """Of a report's body, what it shows."""

    divergences: tuple[Divergence, ...]


def _meant(name: str) -> list[str]:
    """The name as it was typed, or as it is shown where it has quotes and escapes: `"new\\nline"`."""
    if not is_text(name):
        return []
    try:
        shown = json.loads(name)
    except ValueError:
        return [name]
    return [name, shown] if type(shown) is str and is_text(shown) else [name]


def no_report(number: int) -> UsageError:
    """What is said where a report is asked for that there is not."""
    return UsageError(f"there is no report {number}", "`lockstep reports` lists them.")


def _line(one: Stored) -> Line:
    return Line(one.id, one.mapping, one.method, one.started_at, one.verdict)


def _found(one: Open) -> Found:
    state = "closed" if one.closed_at is not None else "accepted" if one.accepted_at is not None else "open"
    return Found(
        one.subject,
        one.kind,
        state,
        one.first_at,
        one.last_at,
        one.closed_at,
        one.accepted_by,
        one.because,
        msgspec.json.decode(one.body),
    )
