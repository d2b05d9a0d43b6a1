"""Billing knows days: an instant is the day that it falls on in the tenant's zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from lockstep.effective import Moment, T, Timeline
from lockstep.systems.zuora.models import Subscription


def in_days(subscription: Subscription, zone: str) -> Subscription:
    """With timelines of days. Of several changes on one day the last wins."""
    return replace(
        subscription,
        charges={plan: by_day(timeline, zone) for plan, timeline in subscription.charges.items()},
        paused=by_day(subscription.paused, zone),
    )


def by_day(timeline: Timeline[T], zone: str) -> Timeline[T]:
    """The same in days of a zone, such as "Europe/Berlin"; of several changes on one day the last wins."""
    tz = ZoneInfo(zone)

    def day(at: Moment | None) -> dt.date | None:
        return at.astimezone(tz).date() if isinstance(at, dt.datetime) else at

    return Timeline.from_events((day(at), value) for at, value in timeline.events())
