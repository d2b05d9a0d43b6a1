"""What befell an account's records between two recordings of them, each told by its own lineage.

An order gives a subscription another version and copies its whole tree under new ids. So a record whose id is
new is looked for in the version before: by what stays the same through all versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal[
    "account", "contact", "subscription", "rate plan", "charge", "tier", "order", "invoice", "item", "payment"
]
What = Literal[
    "created",
    "removed",
    "same",
    "cut short",
    "extended",
    "changed",
    "superseded",
    "restored",
    "touched",
]


class Recorded(msgspec.Struct, frozen=True):
    """A record as it was read. `parent`: the id of the one it hangs on, None for the account."""

    kind: Kind
    id: str
    parent: str | None
    fields: dict[str, Any]


class Change(msgspec.Struct, frozen=True):
    """What befell one record.

    `copied_from`: the record of the version before that it was copied from, where it has an id of its own;
    then `what` says how the copy differs ("same": not at all). `fields`: what differs, as (before, after).
    """

    kind: Kind
    id: str
    parent: str | None
    label: str
    what: What
    copied_from: str | None = None
    fields: dict[str, tuple[Any, Any]] = {}


_STAMPS = frozenset({"createdDate", "createdById", "updatedDate", "updatedById"})

_OF_VERSION = _STAMPS | {
    "id",
    "accountId",
    "subscriptionId",
    "ratePlanId",
    "ratePlanChargeId",
    "previousSubscriptionId",
    "orderId",
    "lastBookingDate",
    "originalCreatedDate",
    "version",
    "revision",
    "amendmentId",
}
"""Fields that every copy has anew; they say nothing of how it differs."""

_END = {"charge": "effectiveEndDate"}


class _Place(NamedTuple):
    """Where a record stands: its subscription, in which version, and what stays through all versions."""

    subscription: str
    version: int
    lineage: tuple[Any, ...]


def changes(before: Iterable[Recorded], after: Iterable[Recorded]) -> list[Change]:
    """All that befell, in the order of `after`; what is gone comes last. Nothing of what stayed the same."""
    was = {one.id: one for one in before}
    now = {one.id: one for one in after}
    known = now | was  # a row of an old version as it was before it was superseded
    origins = _Origins(known)
    found: list[Change] = []
    for one in now.values():
        old = was.get(one.id)
        if old is not None:
            differs = _differing(old, one, frozenset())
            if differs:
                found.append(_told(one, _kept(one, differs), differs))
            continue
        origin = origins.of(one)
        if origin is None:
            found.append(_told(one, "created", {}))
        else:
            differs = _differing(origin, one, _OF_VERSION)
            found.append(_told(one, _how(one, differs), differs, origin.id))
    found += [_told(one, "removed", {}) for one in was.values() if one.id not in now]
    return found


class _Origins:
    """Finds the record of the version before that another one was copied from."""

    def __init__(self, known: dict[str, Recorded]) -> None:
        self._known = known
        self._places = {one.id: self._place(one) for one in known.values()}
        self._by_lineage: dict[tuple[str, tuple[Any, ...]], list[Recorded]] = {}
        for one in known.values():
            place = self._places[one.id]
            if place is not None:
                self._by_lineage.setdefault((place.subscription, place.lineage), []).append(one)

    def of(self, one: Recorded) -> Recorded | None:
        place = self._places[one.id]
        if place is None:
            return None
        earlier = [
            (other.version, each)
            for each in self._by_lineage[place.subscription, place.lineage]
            if (other := self._places[each.id]) is not None and other.version < place.version
        ]
        return max(earlier, key=lambda pair: pair[0])[1] if earlier else None

    def _place(self, one: Recorded) -> _Place | None:
        """None for what belongs to no subscription, or is not whole."""
        fields = one.fields
        if one.kind == "subscription":
            return _Place(str(fields.get("name")), int(fields.get("version") or 0), ("subscription",))
        if one.kind not in ("rate plan", "charge", "tier") or one.parent is None:
            return None
        above = self._known.get(one.parent)
        over = None if above is None else self._place(above)
        if over is None:
            return None
        return _Place(over.subscription, over.version, _lineage(one, over.lineage))


def _lineage(one: Recorded, above: tuple[Any, ...]) -> tuple[Any, ...]:
    """By numbers and original ids; a tier by its place within its segment."""
    fields = one.fields
    if one.kind == "rate plan":
        number = fields.get("subscriptionRatePlanNumber")
        return ("rate plan", number or fields.get("originalRatePlanId") or fields.get("name"))
    if one.kind == "charge":
        return ("charge", fields.get("originalId") or fields.get("chargeNumber"), fields.get("segment"))
    return ("tier", *above, fields.get("currency"), fields.get("tier"))


def _differing(old: Recorded, new: Recorded, but: frozenset[str]) -> dict[str, tuple[Any, Any]]:
    names = [*old.fields, *(name for name in new.fields if name not in old.fields)]
    return {
        name: (old.fields.get(name), new.fields.get(name))
        for name in names
        if name not in but and old.fields.get(name) != new.fields.get(name)
    }


def _kept(one: Recorded, differs: dict[str, tuple[Any, Any]]) -> What:
    """Of a record that kept its id."""
    if differs.keys() <= _STAMPS:
        return "touched"
    if one.kind == "subscription" and "isLatestVersion" in differs:
        return "restored" if differs["isLatestVersion"][1] else "superseded"
    return _how(one, differs)


def _how(one: Recorded, differs: dict[str, tuple[Any, Any]]) -> What:
    if not differs:
        return "same"
    end = differs.get(_END.get(one.kind, ""))
    if end is None:
        return "changed"
    old, new = end
    return "cut short" if old is None or (new is not None and new < old) else "extended"


def _told(
    one: Recorded, what: What, differs: dict[str, tuple[Any, Any]], copied_from: str | None = None
) -> Change:
    return Change(one.kind, one.id, one.parent, label(one), what, copied_from, differs)


def label(one: Recorded) -> str:
    """How a person names a record: by its number, a segment with its days."""
    fields = one.fields
    if one.kind == "subscription":
        return f"{fields.get('name')} version {fields.get('version')}"
    if one.kind == "charge":
        days = f"{fields.get('effectiveStartDate') or '?'} to {fields.get('effectiveEndDate') or 'open'}"
        return f"{fields.get('chargeNumber')} segment {fields.get('segment')}, {days}"
    if one.kind == "tier":
        return f"{fields.get('tier')}: {fields.get('price')} {fields.get('currency')}"
    if one.kind == "rate plan":
        return f"{fields.get('name')} {fields.get('subscriptionRatePlanNumber') or ''}".rstrip()
    names = ("accountNumber", "orderNumber", "invoiceNumber", "paymentNumber", "lastName", "chargeName")
    return str(next((fields[name] for name in names if fields.get(name)), one.id))


def counted(found: Sequence[Change]) -> dict[str, int]:
    """How many of each fate; copies apart, as "copied, cut short"."""
    counts: dict[str, int] = {}
    for one in found:
        counts[fate(one)] = counts.get(fate(one), 0) + 1
    return counts


def fate(one: Change) -> str:
    """In words: "copied", "copied, cut short", "created"."""
    if one.copied_from is None:
        return one.what
    return "copied" if one.what == "same" else f"copied, {one.what}"
