"""Matched: a record that a source key means, beside the one that somebody else has left in the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from lockstep.agreement.fields import FieldDiff, diff
from lockstep.declaration.mapping import Desired
from lockstep.engine.deriving.derive import Derived
from lockstep.errors import DataError, LockstepError
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.ports import ByMeaning, Foreign
from lockstep.values import Change, Fingerprint, Held, Key, Meta, Version


class Example(Struct, frozen=True):
    """One record: `key` is the source key, None where the source has none for it."""

    kind: str
    key: str | None
    target_key: str | None
    fields: tuple[FieldDiff, ...] = ()
    reason: str | None = None


class Found(NamedTuple):
    """What one record that a source key means is in the target."""

    kind: str
    item: Desired
    change: Change
    held: Fingerprint | None
    example: Example


def matched(
    mapping: str, foreign: Foreign, one: Derived, held: Mapping[Key, Held], version: Version
) -> Iterator[Found]:
    """What the records of one source key are in the target, of which `held` was read."""
    for item in one.desired:
        meta = Meta(mapping, one.key, item.fingerprint, one.sum, version)
        change = Change(item.key, item.record, meta, item.plain)
        there = held.get(item.key)
        names = (keys.text(one.key), keys.text(item.key))
        if there is None:
            yield Found("source-only", item, change, None, Example("source-only", *names))
            continue
        owner = there.meta
        if owner is not None and (owner.mapping, owner.key) != (mapping, one.key):
            reason = f"it is a record of {owner.mapping} key {keys.text(owner.key)}"
            yield Found("taken", item, change, None, Example("taken", *names, reason=reason))
            continue
        try:
            expected, actual = foreign.compared(change, there)
        except DataError as error:
            yield Found("failed", item, change, None, Example("failed", *names, reason=told(error)))
            continue
        form = canonical(actual)
        kind = "equal" if canonical(expected) == form else "different"
        fields = () if kind == "equal" else tuple(diff(expected, actual))
        now = fingerprint(item.key, form)
        remark = None
        if kind == "equal" and isinstance(foreign, ByMeaning):
            remark = foreign.remark(change, there)
        yield Found(kind, item, change, now, Example(kind, *names, fields=fields, reason=remark))


def become(one: Found, kind: str, reason: str | None) -> Found:
    """What would have been taken over, and is not, for a reason."""
    if one.kind not in ("equal", "different"):
        return one
    example = Example(kind, one.example.key, one.example.target_key, one.example.fields, reason)
    return one._replace(kind=kind, example=example)


def told(error: LockstepError) -> str:
    """Which record, and what a person does next."""
    return f"{error}. {error.remedy}".rstrip(". ")
