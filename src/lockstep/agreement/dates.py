"""Amounts by date, checked: every record of both sides at every date, and what differs looked at until it is
certain that it does: see `certain`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from lockstep.agreement.certain import Between, Look, divergence, restless, settle
from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.report import Divergence, Findings
from lockstep.agreement.walk import PAGE, source_keys
from lockstep.declaration.amounts import Amounts, ByName, amounts_of
from lockstep.effective import Moment, Timeline, combine
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.values import Key

_NOTHING: Timeline[Decimal] = Timeline()
_ZERO = Decimal(0)

Held = Mapping[Key, ByName | DataError]
"""What the target says of its records."""


class _Apart(NamedTuple):
    """From a date on until another one, one amount on both sides; or why it cannot be said."""

    target: Key | None
    what: str
    start: Moment | None
    end: Moment | None
    ours: Decimal
    theirs: Decimal
    error: str | None = None


def check(one: Amounts, between: Between, findings: Findings) -> list[str]:
    """Adds where the two sides differ to the findings; what a person should know of how it was done."""
    deriver = Deriver(one.source, between.reader)
    moving: list[Key] = []
    for page in source_keys(between.reader, one.source, PAGE):
        moving += _page(one, between, deriver, page, findings)
    return [restless([f"{one.name} of {', '.join(map(keys.text, moving[:5]))}"])] if moving else []


def _page(
    one: Amounts, between: Between, deriver: Deriver, page: Sequence[Key], findings: Findings
) -> list[Key]:
    """Some source keys; those that never came to rest."""
    reached = between.feed.reached()
    derived = deriver.derive(page, time.time())

    def look(some: Sequence[Key]) -> Mapping[Key, Look]:
        nonlocal derived
        held = _held(one, [derived[key] for key in some])
        derived = deriver.derive(some, time.time())
        return {key: _look(one, each, held) for key, each in derived.items()}

    held = _held(one, list(derived.values()))
    apart = [key for key, each in derived.items() if any(_differences(one, each, held))]
    return sorted(settle(between, findings, reached, {key: _meant(derived[key]) for key in apart}, look))


def _look(one: Amounts, derived: Derived, held: Held) -> Look:
    some, meant = list(_differences(one, derived, held)), _meant(derived)
    if not some:
        return Look(meant, None, None)
    return Look(meant, (some, meant), lambda waits: [_divergence(one, apart, waits) for apart in some])


def _meant(derived: Derived) -> object:
    error = None if derived.error is None else str(derived.error)
    return error, [(item.key, item.fingerprint) for item in derived.desired]


def _held(one: Amounts, derived: Sequence[Derived]) -> Held:
    """What the target says of their records."""
    wanted = [item.key for each in derived for item in each.desired]
    return one.target.amounts(wanted) if wanted else {}


def _differences(one: Amounts, derived: Derived, held: Held) -> Iterator[_Apart]:
    if derived.error is not None:
        yield _unsaid(None, keys.text(derived.key), str(derived.error))
    for item in derived.desired:
        theirs = held.get(item.key, {})
        try:
            ours = amounts_of(one.name, item.record)
            if isinstance(theirs, DataError):
                raise theirs
        except DataError as error:
            yield _unsaid(item.key, "", str(error))
            continue
        for what in sorted({*ours, *theirs}):
            sides = ours.get(what, _NOTHING), theirs.get(what, _NOTHING)
            differing = combine(lambda mine, other: _pair(mine, other, one.tolerance), *sides)
            for span in differing:
                yield _Apart(item.key, what, span.start, span.end, *span.value)


def _pair(ours: Decimal | None, theirs: Decimal | None, tolerance: Decimal) -> tuple[Decimal, Decimal] | None:
    """Both amounts, where they are not the same: nothing is 0."""
    pair = ours or _ZERO, theirs or _ZERO
    return None if abs(pair[0] - pair[1]) <= tolerance else pair


def _unsaid(target: Key | None, what: str, error: str) -> _Apart:
    return _Apart(target, what, None, None, _ZERO, _ZERO, error)


def _divergence(one: Amounts, apart: _Apart, waits: str | None) -> Divergence:
    record = "" if apart.target is None else keys.text(apart.target)
    since = "" if apart.start is None else f"{apart.start}"
    name = " ".join(filter(None, (one.name, record, apart.what, since)))
    fields: tuple[FieldDiff, ...] = ()
    if apart.error is not None:
        said = [apart.error]
    else:
        more = apart.theirs - apart.ours
        said = [
            f"{'until ' + str(apart.end) if apart.end else 'from then on'} the target has "
            f"{_shown(more):+f} {apart.what} against the source"
        ]
        fields = (FieldDiff(apart.what, _shown(apart.ours), _shown(apart.theirs)),)
    return divergence(name, fields, said, one.tolerance, one.why, waits)


def _shown(amount: Decimal) -> Decimal:
    """The same amount without zeros at its end."""
    return Decimal(f"{amount.normalize():f}")
