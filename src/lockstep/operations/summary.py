"""The summary of an incident: the first sign, what held, what a person decided, and when all agreed again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from lockstep.operations.happening import Happening, Told, ill
from lockstep.state.events import Kind

_STOPS = frozenset(
    {
        Told.HELD,
        Kind.MAPPING_STOPPED,
        Kind.MAPPING_HELD,
        Kind.TARGET_GONE,
        Kind.TARGET_REPLACED,
        Kind.TARGET_EMPTIED,
    }
)
"""Nothing is written from then on."""

_DECISIONS = frozenset(
    {
        Told.APPROVED,
        Told.REJECTED,
        Told.ACCEPTED,
        Kind.DECIDED,
        Kind.RESTORE_BEGUN,
        Kind.REDRIVE_ASKED,
        Kind.BACKFILL_ASKED,
        Kind.REPAIR_ASKED,
        Kind.ROLLED_BACK,
        Kind.DEPLOY_BEGUN,
    }
)

_ASIDE = frozenset({Kind.SNAPSHOT_FAILED, Kind.DRILL_FAILED, Kind.DEPLOY_FAILED})
"""Signs that say nothing of what the live build holds."""


class Summary(Struct, frozen=True):
    """Each is None where it did not come.

    held       the first after which the guard, or a fault, let nothing be written
    decided    the first thing that a person did about it
    agreed     the check that showed agreement after the last sign; of the last mapping to get there
    unproven   mappings with a sign after which no check has shown agreement
    """

    first_sign: Happening | None
    held: Happening | None
    decided: Happening | None
    agreed: Happening | None
    unproven: tuple[str, ...]


def summary(happenings: Sequence[Happening], concerned: Mapping[str, Collection[str]]) -> Summary:
    """`happenings`: in order. `concerned`: of each subject that is no mapping, the mappings it is about;
    of what is in none, every mapping."""
    first = next((at for at, one in enumerate(happenings) if ill(one)), None)
    if first is None:
        return Summary(None, None, None, None, ())
    since = happenings[first:]
    everyone = sorted({name for names in concerned.values() for name in names})
    agreed: dict[str, Happening | None] = {}
    for one in since:
        if ill(one) and one.kind not in _ASIDE:
            names = concerned.get(one.subject, everyone)
            agreed.update(dict.fromkeys(names))
        elif one.kind == Told.CHECK_AGREED and agreed.get(one.subject, one) is None:
            agreed[one.subject] = one
    unproven = tuple(sorted(name for name, check in agreed.items() if check is None))
    checks = [check for check in agreed.values() if check is not None]
    last = max(checks, key=lambda check: check.happened_at, default=None)
    return Summary(
        since[0],
        next((one for one in since if one.kind in _STOPS), None),
        next((one for one in since if one.kind in _DECISIONS and one.who != "the run"), None),
        None if unproven else last,
        unproven,
    )
