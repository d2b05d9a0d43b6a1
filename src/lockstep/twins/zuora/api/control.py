"""/twin/…: what a real tenant has no endpoint for: its clock, its settings, faults on request, counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..engine.settings import Settings
from ..engine.tree import Refused
from ..faults import KINDS, Fault
from .call import Answer, Call


def state(call: Call) -> Answer:
    """GET /twin"""
    return Answer(
        {
            "now": call.tenant.now(),
            "today": call.tenant.clock.today(),
            "settings": msgspec.to_builtins(call.tenant.settings),
            "faults": KINDS,
            "requests": call.tenant.counts,
        }
    )


def change_settings(call: Call) -> Answer:
    """PUT /twin/settings: those that are to be others; the rest stays."""
    said = call.body if isinstance(call.body, dict) else {}
    unknown = said.keys() - set(Settings.__struct_fields__)
    if unknown:
        raise Refused(21, f"there is no setting {', '.join(sorted(unknown))}")
    try:
        call.tenant.set(msgspec.convert(msgspec.to_builtins(call.tenant.settings) | said, Settings))
    except (msgspec.ValidationError, KeyError, ValueError) as error:  # a zone that is not known is a KeyError
        raise Refused(20, str(error)) from None
    return state(call)


class Time(msgspec.Struct):
    now: datetime | None = None
    frozen: bool = False


def set_clock(call: Call) -> Answer:
    """PUT /twin/clock: {"now": "2026-03-01T00:00:00Z", "frozen": true}; without `now`, the machine's time."""
    said = call.said(Time)
    if said.now is not None and said.now.tzinfo is None:
        raise Refused(20, "now needs a time zone, as +00:00")
    call.tenant.set_clock(said.now, frozen=said.frozen)
    return state(call)


class Rules(msgspec.Struct, forbid_unknown_fields=True):
    rules: list[Fault] = []
    seed: int = 0


def set_faults(call: Call) -> Answer:
    """PUT /twin/faults: {"rules": [{"kind": "429", "times": 2, "path": "/v1/orders"}], "seed": 1}"""
    said = call.said(Rules)
    try:
        call.tenant.faults.set(said.rules, said.seed)
    except ValueError as error:
        raise Refused(20, str(error)) from None
    return state(call)


def forget_counts(call: Call) -> Answer:
    """DELETE /twin/requests"""
    counts: dict[str, Any] = dict(call.tenant.counts)
    call.tenant.counts.clear()
    return Answer({"requests": counts})
