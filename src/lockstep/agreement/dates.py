"""Amounts by date, checked: every record of both sides at every date, and what differs looked at until it is
certain that it does. When that is, see `invariants`: a change on its way is no difference."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from lockstep import keys
from lockstep.agreement.deep import PAGE, source_keys
from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.invariants import KIND, Scope
from lockstep.agreement.report import Divergence, Findings
from lockstep.amounts import Amounts, ByName, amounts_of
from lockstep.effective import Moment, Timeline, combine
from lockstep.engine.derive import Derived, Deriver
from lockstep.errors import DataError
from lockstep.values import Key

_ROUNDS = 12
_STEADY = 6
_NOTHING: Timeline[Decimal] = Timeline()
_ZERO = Decimal(0)


class _Apart(NamedTuple):
    """From a date on until another one, one amount on both sides; or why it cannot be said."""

    target: Key | None
    what: str
    start: Moment | None
    end: Moment | None
    ours: Decimal
    theirs: Decimal
    error: str | None = None


def check(one: Amounts, scope: Scope, findings: Findings) -> list[str]:
    """Adds where the two sides differ to the findings; what a person should know of how it was done."""
    deriver = Deriver(one.source, scope.reader)
    moving: list[Key] = []
    for page in source_keys(scope.reader, one.source, PAGE):
        reached = scope.feed.reached()
        derived = deriver.derive(page, time.time())
        suspects = {key for key, some in _apart(one, derived).items() if some}
        before = {key: derived[key] for key in suspects}
        moving += _settled(one, scope, deriver, before, reached, findings)
    findings.moving += len(moving)
    if not moving:
        return []
    names = ", ".join(keys.text(key) for key in moving[:5])
    return [f"{one.name} of {names}: changed each time it was looked at, so nothing is said of it"]


def _settled(
    one: Amounts,
    scope: Scope,
    deriver: Deriver,
    before: dict[Key, Derived],
    reached: str,
    findings: Findings,
) -> list[Key]:
    """The keys that never came to rest; what is certain of the others is added."""
    seen: dict[Key, list[tuple[list[_Apart], object]]] = {key: [] for key in before}
    found: dict[Key, list[Divergence]] = {}
    for _ in range(_ROUNDS):
        if not before:
            break
        waits = scope.wait()
        # The target is asked first: what the source means before and after is what it should have held.
        held = _held(one, before)
        now = deriver.derive(list(before), time.time())
        now_reached = scope.feed.reached()
        for key, some in _compared(one, now, held).items():
            if not some:
                findings.settled += 1
                del before[key], now[key]
                continue
            look = (some, _meant(now[key]))
            seen[key].append(look)
            same = _meant(before[key]) == look[1]
            steady = reached == now_reached or seen[key][-_STEADY:] == [look] * _STEADY
            if waits is not None or (same and steady):
                found[key] = [_divergence(one, apart, waits) for apart in some]
                del before[key], now[key]
        before, reached = now, now_reached
    for key in sorted(found):
        for divergence in found[key]:
            findings.add(divergence)
    return sorted(before)


def _meant(derived: Derived) -> object:
    error = None if derived.error is None else str(derived.error)
    return error, [(item.key, item.fingerprint) for item in derived.desired]


def _apart(one: Amounts, derived: Mapping[Key, Derived]) -> dict[Key, list[_Apart]]:
    return _compared(one, derived, _held(one, derived))


def _held(one: Amounts, derived: Mapping[Key, Derived]) -> Mapping[Key, ByName | DataError]:
    wanted = [item.key for each in derived.values() for item in each.desired]
    return one.target.amounts(wanted) if wanted else {}


def _compared(
    one: Amounts, derived: Mapping[Key, Derived], held: Mapping[Key, ByName | DataError]
) -> dict[Key, list[_Apart]]:
    """Where each source key's records differ."""
    return {key: list(_differences(one, each, held)) for key, each in derived.items()}


def _differences(one: Amounts, derived: Derived, held: Mapping[Key, ByName | DataError]) -> Iterator[_Apart]:
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
    fields: Sequence[FieldDiff] = ()
    if apart.error is not None:
        said = [apart.error]
    else:
        more = apart.theirs - apart.ours
        said = [
            f"{'until ' + str(apart.end) if apart.end else 'from then on'} the target has "
            f"{_shown(more):+f} {apart.what} against the source"
        ]
        fields = (FieldDiff(apart.what, _shown(apart.ours), _shown(apart.theirs)),)
    if one.why:
        said.append(f"tolerated {one.tolerance:f}: {one.why}" if one.tolerance else one.why)
    if waits is not None:
        said.append(f"{waits}: a change of it may be on its way")
    return Divergence(KIND if waits is None else "unsettled", name, None, tuple(fields), "; ".join(said))


def _shown(amount: Decimal) -> Decimal:
    """The same amount without zeros at its end."""
    return Decimal(f"{amount.normalize():f}")
