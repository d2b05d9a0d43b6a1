"""Invariants of a mapping, checked: groups that differ, looked at until it is certain that they do.

As with suspects, a change on its way is no divergence. The source is asked, then whatever was on its way at
that moment is waited for, then the target is asked, and the source once more. Where the source's log has not
moved in between, a group that differs does. Where it has, a row may have come and gone meanwhile, and leave
no trace in its group: so both sides must be seen the same six times in a row. The witness of a group keeps
its rows' own changes from passing for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from lockstep.agreement.barrier import Barrier
from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.groups import Group, Groups, difference, of_source, of_target, shown
from lockstep.agreement.report import Divergence, Findings
from lockstep.guard.door import Door
from lockstep.invariant import Invariant
from lockstep.ports import Feed, Reader

KIND = "invariant"
NONE = "(no such group)"
_ROUNDS = 12
_STEADY = 6


class Scope:
    """What invariants are checked between. `barriers`: of every mapping that writes the target."""

    def __init__(self, reader: Reader, feed: Feed, door: Door, barriers: Sequence[Barrier]) -> None:
        self.reader, self.feed, self.door = reader, feed, door
        self._barriers = barriers

    def wait(self) -> str | None:
        """See `Barrier`."""
        return next((why for why in (barrier() for barrier in self._barriers) if why), None)


def check(invariants: Sequence[Invariant], scope: Scope, findings: Findings) -> list[str]:
    """Adds the groups that differ to the findings; what a person should know of how it was done."""
    return [note for one in invariants for note in _check(one, scope, findings)]


def _check(invariant: Invariant, scope: Scope, findings: Findings) -> list[str]:
    reached = scope.feed.reached()
    before = of_source(invariant, scope.reader)
    target, note = of_target(invariant, scope.door)
    left = [form for form in {**before.groups, **target} if _apart(invariant, form, before.groups, target)]
    seen: dict[bytes, list[tuple[Group | None, Group | None]]] = {form: [] for form in left}
    found: dict[bytes, Divergence] = {}
    for _ in range(_ROUNDS):
        if not left:
            break
        waits = scope.wait()
        target, note = of_target(invariant, scope.door)
        now = of_source(invariant, scope.reader)
        still, still_reached = list(left), scope.feed.reached()
        for form in left:
            if not _apart(invariant, form, now.groups, target):
                findings.settled += 1
                still.remove(form)
                continue
            pair = (now.groups.get(form), target.get(form))
            seen[form].append(pair)
            same = before.groups.get(form) == pair[0]
            quiet = reached == still_reached
            if waits is not None or (same and (quiet or seen[form][-_STEADY:] == [pair] * _STEADY)):
                found[form] = _divergence(invariant, *pair, _theirs(form, now.groups, target), waits)
                still.remove(form)
        left, before, reached = still, now, still_reached
    findings.moving += len(left)
    for _, one in sorted(found.items()):
        findings.add(one)
    notes = [one for one in (before.note, note) if one]
    if left:
        names = ", ".join(_subject(invariant, (before.groups.get(form) or target[form])) for form in left[:5])
        notes.append(f"{names}: changed each time it was looked at, so nothing is said of it")
    return notes


def _apart(invariant: Invariant, form: bytes, source: Groups, target: Groups) -> bool:
    ours, theirs = source.get(form), target.get(form)
    if ours is None or theirs is None:
        return ours is not theirs
    return abs(difference(_value(invariant, ours), _value(invariant, theirs))) > invariant.tolerance


def _value(invariant: Invariant, group: Group) -> Decimal:
    return Decimal(group.records) if invariant.of is None else group.total


def _divergence(
    invariant: Invariant, ours: Group | None, theirs: Group | None, twin: str | None, waits: str | None
) -> Divergence:
    group = ours or theirs
    assert group is not None
    what = "records" if invariant.of is None else "total"
    sides = [NONE if one is None else _value(invariant, one) for one in (ours, theirs)]
    said = []
    if ours is not None and theirs is not None:
        apart = difference(_value(invariant, ours), _value(invariant, theirs))
        said.append(f"the target has {'+' if apart > 0 else ''}{apart:f} against the source")
    else:
        said.append(f"only the {'source' if theirs is None else 'target'} has this group")
        if twin is not None:
            said.append(f"the other side has one of another type: {twin}")
    if invariant.tolerance:
        said.append(f"tolerated {invariant.tolerance:f}: {invariant.why}")
    elif invariant.why:
        said.append(invariant.why)
    if waits is not None:
        said.append(f"{waits}: a change of it may be on its way")
    kind = KIND if waits is None else "unsettled"
    diff = FieldDiff(what, *sides)
    return Divergence(kind, _subject(invariant, group), None, (diff,), "; ".join(said))


def _theirs(form: bytes, source: Groups, target: Groups) -> str | None:
    """A group of the other side whose values read the same and are of other types."""
    one = source.get(form) or target[form]
    if form in source and form in target:
        return None
    for group in (target if form in source else source).values():
        if list(map(str, group.values)) == list(map(str, one.values)) and group.values != one.values:
            return ", ".join(f"{shown(value)} ({type(value).__name__})" for value in group.values)
    return None


def _subject(invariant: Invariant, group: Group) -> str:
    values = (f"{label}={shown(value)}" for label, value in zip(invariant.labels, group.values, strict=True))
    return " ".join([invariant.name, ", ".join(values)]).strip()
