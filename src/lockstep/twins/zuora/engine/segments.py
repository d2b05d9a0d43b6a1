"""What orders do to the segments of one charge. Pure; rows are only added or shortened, never taken away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType

from msgspec.structs import replace

from .tree import Charge, Refused, Segment, Tier


def cut(
    charge: Charge,
    at: date,
    *,
    id: str,
    order: str,
    quantity: Decimal | None,
    tiers: tuple[Tier, ...] | None,
    before_later: bool,
    custom: Mapping[str, object] = MappingProxyType({}),
) -> Charge:
    """The segment in force at `at` ends there, and a new one with other values lasts until its end.

    Where a later-dated update exists, `before_later` must say that the new one is to end where that begins.
    An update on the day on which a segment begins leaves that segment without a day, as a row [start, start).
    """
    found = [one for one in charge.segments if one.covers(at)]
    if not found:
        raise Refused(30, f"charge {charge.number} is not in force on {at}: it cannot be updated then")
    old = found[0]
    later = [
        one.start for one in charge.segments if not one.empty and one.start is not None and one.start > at
    ]
    if later and not before_later:
        raise Refused(
            30,
            f"charge {charge.number} has a future-dated update on {min(later)}: say specificUpdateDate to "
            "update it before",
        )
    new = Segment(
        id=id,
        number=1 + max(one.number for one in charge.segments),
        version=1 + max(one.version for one in charge.segments),
        start=at,
        end=old.end,
        quantity=old.quantity if quantity is None else quantity,
        tiers=old.tiers if tiers is None else tiers,
        change="Update",
        order=order,
        custom={**old.custom, **custom},
    )
    kept = tuple(replace(one, end=at) if one is old else one for one in charge.segments)
    return replace(charge, segments=(*kept, new))


def shortened(charge: Charge, at: date, *, change: str | None, order: str) -> Charge:
    """Nothing is in force from `at` on. No segment is added; a later one keeps its row, without a day."""
    rows = []
    for one in charge.segments:
        if one.start is None or one.empty or (one.end is not None and one.end <= at):
            rows.append(one)
        else:
            end = max(one.start, at)
            rows.append(
                replace(one, end=end, change=change or one.change, order=order if change else one.order)
            )
    return replace(charge, segments=tuple(rows))


def removed(charge: Charge, at: date, *, order: str) -> Charge:
    """The charge ends at `at`. A second removal that is not earlier than the first changes nothing."""
    if charge.removed is not None and charge.removed <= at:
        return charge
    return replace(shortened(charge, at, change="Remove", order=order), removed=at)


def retermed(charge: Charge, old: date | None, new: date | None) -> Charge:
    """The term ends elsewhere: what ended with it ends with it again, in the same segment."""
    if charge.removed is not None or charge.end_condition != "Subscription_End":
        return charge if new is None else replace(charge, segments=_within(charge, new).segments)
    if new is not None and (old is None or new < old):
        return _within(charge, new)
    last = last_of(charge.segments)
    if last is None or last.end != old:
        return charge
    return replace(charge, segments=tuple(replace(s, end=new) if s is last else s for s in charge.segments))


def renewed(charge: Charge, old: date, new: date | None, *, mint: Callable[[], str], order: str) -> Charge:
    """As `retermed`, but the new term is a segment of its own."""
    last = last_of(charge.segments)
    if (
        charge.removed is not None
        or charge.end_condition != "Subscription_End"
        or last is None
        or last.end != old
    ):
        return charge
    more = replace(
        last,
        id=mint(),
        number=1 + max(one.number for one in charge.segments),
        start=old,
        end=new,
        order=order,
        charged_through=None,
    )
    return replace(charge, segments=(*charge.segments, more))


def suspended(charge: Charge, at: date, *, order: str) -> Charge:
    """Ends at `at`; what would have come after is held."""
    held = tuple(
        replace(one, start=max(one.start, at))
        for one in charge.segments
        if one.start is not None and not one.empty and (one.end is None or one.end > at)
    )
    return replace(shortened(charge, at, change=None, order=order), held=held)


def resumed(
    charge: Charge,
    at: date,
    *,
    extended: timedelta,
    term_end: date | None,
    mint: Callable[[], str],
    order: str,
) -> Charge:
    """What was held goes on from `at`, in new segments; what ended with the term ends later by `extended`.

    What would be over by then does not come back: a one-time charge lasts one day.
    """
    number = max((one.number for one in charge.segments), default=0)
    version = max((one.version for one in charge.segments), default=0)
    rows = list(charge.segments)
    for one in charge.held:
        assert one.start is not None
        end = one.end + extended if one.end is not None and one.end == term_end else one.end
        if end is not None and end <= at:
            continue
        number += 1
        version += 1
        start = max(one.start, at)
        rows.append(
            replace(
                one,
                id=mint(),
                number=number,
                version=version,
                start=start,
                end=end,
                order=order,
                change="Update",
                charged_through=None,
            )
        )
    return replace(charge, segments=tuple(rows), held=())


def last_of(segments: tuple[Segment, ...]) -> Segment | None:
    """The one that is last in time; of those without a day the one booked last, where there are no others."""
    dated = [one for one in segments if one.start is not None]
    if not dated:
        return segments[-1] if segments else None
    return max(dated, key=lambda one: (not one.empty, one.start, one.number))


def _within(charge: Charge, end: date) -> Charge:
    return shortened(charge, end, change=None, order="")
