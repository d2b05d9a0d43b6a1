"""Invariants of a mapping, checked: groups that differ, looked at until it is certain that they do.

How that becomes certain, `certain` says. The witness of a group keeps its rows' own changes from passing for
rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from lockstep.agreement.certain import Between, Look, divergence, restless, settle
from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.groups import Group, Groups, difference, of_source, of_target, shown
from lockstep.agreement.report import Divergence, Findings
from lockstep.declaration.invariant import Invariant

NONE = "(no such group)"


def check(invariants: Sequence[Invariant], between: Between, findings: Findings) -> list[str]:
    """Adds the groups that differ to the findings; what a person should know of how it was done."""
    return [note for one in invariants for note in _check(one, between, findings)]


def _check(invariant: Invariant, between: Between, findings: Findings) -> list[str]:
    reached = between.feed.reached()
    source = of_source(invariant, between.reader)
    target = of_target(invariant, between.door)

    def look(forms: Sequence[bytes]) -> Mapping[bytes, Look]:
        nonlocal source, target
        target = of_target(invariant, between.door)
        source = of_source(invariant, between.reader)
        return {form: _look(invariant, form, source.groups, target.groups) for form in forms}

    forms = {**source.groups, **target.groups}
    apart = [form for form in forms if _apart(invariant, form, source.groups, target.groups)]
    left = settle(between, findings, reached, {form: source.groups.get(form) for form in apart}, look)
    notes = [note for note in (source.note, target.note) if note]
    if left:
        groups = [source.groups.get(form) or target.groups[form] for form in left[:5]]
        notes.append(restless([_subject(invariant, group) for group in groups]))
    return notes


def _look(invariant: Invariant, form: bytes, source: Groups, target: Groups) -> Look:
    ours, theirs = source.get(form), target.get(form)
    if not _apart(invariant, form, source, target):
        return Look(ours, None, None)
    return Look(
        ours,
        (ours, theirs),
        lambda waits: [_divergence(invariant, ours, theirs, _theirs(form, source, target), waits)],
    )


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
    fields = (FieldDiff(what, *sides),)
    return divergence(_subject(invariant, group), fields, said, invariant.tolerance, invariant.why, waits)


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
