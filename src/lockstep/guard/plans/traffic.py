"""What traffic depends on, removed before its replacement is there."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.kinds import TRAFFIC, Traffic
from lockstep.guard.plans.reasons import why
from lockstep.guard.plans.terraform import Change, TerraformPlan, Thing, marked

_BESIDE = (
    "Set lifecycle { create_before_destroy = true } on it, so that the new one stands before the old "
    "one goes."
)
_ONE = (
    "The provider keeps only one of these at a time, so create_before_destroy would fail: change it "
    "in place, or "
    "first apply something that carries the traffic meanwhile (a more specific route, a second "
    "record, another port)."
)


def remove_before_replace(plan: TerraformPlan) -> Iterator[Finding]:
    """Removals and replacements that leave traffic without what it needs if the apply stops half-way."""
    subnets = _subnets_by_table(plan)
    gone = {
        identity
        for change in plan.changes
        if change.removes and not change.replaces and not change.deposed and change.before is not None
        for identity in map(change.before.values.get, ("id", "arn", "self_link"))
        if isinstance(identity, str) and identity
    }
    made = {
        (change.type, _identity(change.after))
        for change in plan.changes
        if change.actions == ("create",) and change.after is not None and change.type in TRAFFIC
    }
    for change in plan.changes:
        kind = TRAFFIC.get(change.type)
        if kind is None or change.before is None or change.thing.mode != "managed" or change.deposed:
            continue
        if change.replaces:
            yield from _replaced(change, kind, subnets)
        elif change.removes:
            yield _removed(change, kind, subnets, gone, made)
        elif "update" in change.actions and change.after is not None:
            yield from _inline(change, change.before, change.after, kind, subnets)


def _replaced(change: Change, kind: Traffic, subnets: dict[str, list[str]]) -> Iterator[Finding]:
    assert change.before is not None
    before, after = _identity(change.before), change.after and _identity(change.after)
    same = before is not None and before == after
    who, what = _who(change.before, kind, subnets), _what(change.before, kind)
    if change.removes_first:
        yield Finding(
            "remove-before-replace",
            "hold",
            change.address,
            f"{change.address} is removed before its replacement is made{why(change)}: an apply that "
            "stops half-way "
            f"leaves {who} without {what}.",
            _ONE if same else _BESIDE,
        )
    elif same:
        yield Finding(
            "create-beside-itself",
            "refuse",
            change.address,
            f"{change.address} is created before the old one is deleted, but both are {what}: the "
            "provider keeps only "
            "one and will refuse it.",
            "Leave create_before_destroy off for it, or change what makes it unique.",
        )


def _removed(
    change: Change,
    kind: Traffic,
    subnets: dict[str, list[str]],
    gone: set[str],
    made: set[tuple[str, Any]],
) -> Finding:
    assert change.before is not None
    who, what = _who(change.before, kind, subnets), _what(change.before, kind)
    identity = _identity(change.before)
    if identity is not None and (change.type, identity) in made:
        return Finding(
            "remove-before-replace",
            "hold",
            change.address,
            f"{change.address} is deleted and another block makes the same anew, in no certain "
            "order: an apply that "
            f"stops half-way leaves {who} without {what}.",
            f"Add a moved block from {change.address} to the new address, so that nothing is deleted.",
        )
    owner = change.before.values.get(kind.owner)
    if isinstance(owner, str) and owner in gone:
        return Finding(
            "removal",
            "note",
            change.address,
            f"{change.address} goes together with what it belongs to.",
        )
    return Finding(
        "removal",
        "hold",
        change.address,
        f"{change.address} is deleted and nothing takes its place{why(change)}: {who} will be "
        f"without {what}.",
        f"If that is meant, approve it by name: --approve '{change.address}'.",
    )


def _inline(
    change: Change, before: Thing, after: Thing, kind: Traffic, subnets: dict[str, list[str]]
) -> Iterator[Finding]:
    """Parts of inline lists: one that changed is taken out, then put in."""
    for name in kind.inline:
        if after.unknown is True or (isinstance(after.unknown, dict) and after.unknown.get(name) is True):
            yield Finding(
                "inline-list", "note", change.address, f"{name} of {change.address} is known only at apply."
            )
            continue
        old, new = _parts(before, name), _parts(after, name)
        lost, added = len(old - new), len(new - old)
        if not lost:
            continue
        many = f"{lost} of {len(old)} parts of its inline list {name}"
        without = "it" if lost == 1 else "them"
        leaves = f"an apply that stops half-way leaves {_who(before, kind, subnets)} without {without}"
        if added:
            yield Finding(
                "inline-list",
                "hold",
                change.address,
                f"{change.address} changes {many}: each is taken out before the new one is put in, "
                f"and {leaves}.",
                f"Write them as separate resources ({kind.separate}), and apply the new before "
                "removing the old."
                if kind.separate
                else "Apply twice: first with the new beside the old, then without the old.",
            )
        else:
            yield Finding(
                "inline-list",
                "hold",
                change.address,
                f"{change.address} takes out {many}, and puts nothing in their place.",
                f"If that is meant, approve it by name: --approve '{change.address}'."
                + (
                    " An empty inline list also takes out what separate resources "
                    f"({kind.separate}) have put in."
                    if kind.separate
                    else ""
                ),
            )


def _parts(thing: Thing, name: str) -> set[str]:
    found = thing.values.get(name)
    return {json.dumps(_filled(part), sort_keys=True) for part in found} if isinstance(found, list) else set()


def _filled(part: Any) -> Any:
    """A part without the fields that say nothing: null, "", [] and absent are one."""
    return (
        {key: value for key, value in part.items() if value not in (None, "", [])}
        if isinstance(part, dict)
        else part
    )


def _identity(thing: Thing | None) -> tuple[str, ...] | None:
    """What the provider keeps one of, or None where that is not known, or more may stand side by side."""
    kind = TRAFFIC[thing.type] if thing else None
    if thing is None or kind is None or not kind.identity:
        return None
    if any(marked(thing.unknown, name) for name in kind.identity):
        return None
    values = [thing.values.get(name) for name in kind.identity]
    return tuple(json.dumps(value, sort_keys=True) for value in values) if any(values) else None


def _subnets_by_table(plan: TerraformPlan) -> dict[str, list[str]]:
    """Route tables' ids → the subnets that use them, by address where the plan knows them."""
    addresses: dict[str, str] = {}
    tables: defaultdict[str, list[str]] = defaultdict(list)
    things = {thing.address: thing for thing in (*plan.planned, *plan.prior)}
    things |= {change.address: change.before for change in plan.changes if change.before is not None}
    for thing in things.values():
        if thing.type in {"aws_subnet", "azurerm_subnet", "aws_default_subnet"} and "id" in thing.values:
            addresses[str(thing.values["id"])] = thing.address
    for thing in things.values():
        if thing.type.endswith("route_table_association"):
            subnet = str(thing.values.get("subnet_id"))
            known = addresses.get(subnet, thing.shown("subnet_id"))
            tables[str(thing.values.get("route_table_id"))].append(known)
    return {table: sorted(set(those)) for table, those in tables.items()}


def _who(thing: Thing, kind: Traffic, subnets: dict[str, list[str]]) -> str:
    table = thing.values.get("route_table_id") or (thing.values.get("id") if "route" in kind.inline else None)
    those = subnets.get(str(table), [])
    if those:
        more = f" and {len(those) - 3} more" if len(those) > 3 else ""
        return (
            f"subnet {', '.join(those[:3])}{more}"
            if len(those) == 1
            else f"subnets {', '.join(those[:3])}{more}"
        )
    owner = thing.values.get(kind.owner) if kind.owner else None
    if owner and not marked(thing.hidden, kind.owner):
        return str(owner)
    return "what depends on it"


def _what(thing: Thing, kind: Traffic) -> str:
    """The words of the table, filled in; {a|b} is the first of the fields that has a value."""

    def fill(match: re.Match[str]) -> str:
        names = match.group(1).split("|")
        return thing.shown(
            next((name for name in names if thing.values.get(name) not in (None, "")), names[0])
        )

    return re.sub(r"\{([\w|]+)\}", fill, kind.what)
