"""What a healer's actions cost: data on disks that go with their hosts, and too much of a group at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from lockstep.guard.plans.finding import Finding, settled
from lockstep.guard.plans.fleet import Host
from lockstep.guard.plans.observer import MOST as MOST_UNREACHABLE
from lockstep.guard.plans.observer import suspect_observer
from lockstep.guard.plans.shares import MOST, too_much


def host_share(hosts: Sequence[Host], most: float = MOST) -> Iterator[Finding]:
    """Per group: the share that is acted upon at once."""
    groups: defaultdict[str, list[Host]] = defaultdict(list)
    for host in hosts:
        groups[host.group].append(host)
    for group, members in groups.items():
        touched = sum(host.touched for host in members)
        if too_much(touched, len(members), most):
            yield Finding(
                "fleet-share",
                "hold",
                f"group {group}",
                f"{touched} of {len(members)} hosts of group {group} are acted upon at once "
                f"({touched / len(members):.0%}; at most {most:.0%} may be).",
                "Act on a few, and wait until they are healthy. List the healthy hosts of the group "
                "too, else what is "
                f"listed is all there is. If it is meant, approve it by name: --approve 'group {group}'.",
            )


def stateful_hosts(hosts: Sequence[Host]) -> Iterator[Finding]:
    """Hosts whose data goes with them."""
    for host in hosts:
        if not host.destroyed or not host.stateful or host.storage == "none":
            continue
        if host.storage == "persistent":
            yield Finding(
                "stateful",
                "note",
                host.name,
                f"{host.name} holds data on persistent storage: see that its volume is attached to "
                "the new host.",
            )
            continue
        disks = "on ephemeral storage" if host.storage == "ephemeral" else "and nobody says on what storage"
        yield Finding(
            "stateful",
            "hold",
            host.name,
            f"{host.name} holds data {disks}: {host.action} loses it, and the new host starts empty.",
            'See first that its data is whole elsewhere. Say "storage": "persistent" or "stateful": '
            "false where that is "
            f"so. If it is meant, approve it by name: --approve '{host.name}'.",
        )


def judge_fleet(
    hosts: Sequence[Host],
    *,
    most: float = MOST,
    most_unreachable: float = MOST_UNREACHABLE,
    approved: Collection[str] = (),
) -> list[Finding]:
    """What the rules find in a healer's actions, the worst first."""
    found = [
        *suspect_observer(hosts, most_unreachable),
        *host_share(hosts, most),
        *stateful_hosts(hosts),
    ]
    return settled(found, approved)
