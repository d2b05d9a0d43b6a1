"""The observer rule: when most of a fleet is unreachable, it is likelier that the observer cannot see."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.fleet import Host

MOST = 0.5
"""The share of a fleet, a group or a zone that may be unreachable before the observer is suspected."""
MOMENT = dt.timedelta(minutes=10)
"""Hosts lost within so long were lost at the same moment."""


def suspect_observer(hosts: Sequence[Host], most: float = MOST) -> Iterator[Finding]:
    """Holds every action where most of the fleet, of a group, or of a zone is unreachable."""
    if not any(host.touched for host in hosts):
        return
    circles: defaultdict[str, list[Host]] = defaultdict(list)
    for host in hosts:
        circles["the fleet"].append(host)
        circles[f"group {host.group}"].append(host)
        if host.zone:
            circles[f"zone {host.zone}"].append(host)
    for name, members in circles.items():
        lost = [host for host in members if host.unreachable_since is not None]
        if len(lost) < 2 or len(lost) / len(members) <= most or not any(host.touched for host in members):
            continue
        yield Finding(
            "observer",
            "hold",
            name,
            f"{len(lost)} of {len(members)} hosts of {name} are unreachable{_moment(lost)}. So many "
            "hosts do not die at "
            "once: suspect the observer or the network, and touch nothing.",
            "Look from another network (a console, another zone) whether the hosts are really gone. "
            "If they are, act on "
            f"a few and approve by name: --approve '{name}'.",
        )


def _moment(lost: Sequence[Host]) -> str:
    """When they were lost: the most of them within one moment."""
    times = sorted(host.unreachable_since for host in lost if host.unreachable_since is not None)
    best, start = 0, 0
    for at, time in enumerate(times):
        while time - times[start] > MOMENT:
            start += 1
        best = max(best, at - start + 1)
    if best < 2:
        return ""
    return f", {'all' if best == len(times) else best} of them lost within {MOMENT.seconds // 60} minutes"
