"""ACTIONS.json: what a healer sees of a fleet, and what it is about to do. The format is Lockstep's own.

    {"version": 1,
     "hosts": [{"name": "search-1", "group": "search", "zone": "eu-1a", "storage": "ephemeral",
                "stateful": true, "unreachable_since": "2026-03-06T22:04:10Z", "action": "replace"}, …]}

`hosts` is the whole fleet, healthy hosts too: shares are of what is listed. Only `name` and `group`
must be there.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from lockstep.errors import PlanUnreadable

DESTROYS = frozenset({"replace", "terminate", "rebuild"})
DISTURBS = frozenset({"reboot", "drain", "stop"})
ACTIONS = ("none", *sorted(DESTROYS), *sorted(DISTURBS))
STORAGES = ("none", "persistent", "ephemeral", "unknown")

_FIELDS = {"name", "group", "zone", "unreachable_since", "stateful", "storage", "action", "note"}
_HOW = "The format is in docs/guard-plans.md."


@dataclass(frozen=True)
class Host:
    """A host. What is not said is taken for the worse: stateful, on storage that nobody knows."""

    name: str
    group: str
    zone: str = ""
    unreachable_since: dt.datetime | None = None
    stateful: bool = True
    storage: str = "unknown"
    action: str = "none"

    @property
    def destroyed(self) -> bool:
        return self.action in DESTROYS

    @property
    def touched(self) -> bool:
        return self.action != "none"


def read_fleet(given: Any) -> list[Host]:
    """The hosts, from decoded JSON. Raises PlanUnreadable, which names the host and the field."""
    if not isinstance(given, dict) or "hosts" not in given:
        raise PlanUnreadable('this is no list of actions: it has no "hosts"', _HOW)
    if given.get("version") != 1 or isinstance(given.get("version"), bool):
        raise PlanUnreadable('"version" must be 1', _HOW)
    _only({"version", "hosts", "note"}, given, "the file")
    if not isinstance(given["hosts"], list):
        raise PlanUnreadable('"hosts" must be a list', _HOW)
    hosts = [_host(one, f"hosts[{at}]") for at, one in enumerate(given["hosts"])]
    seen: set[str] = set()
    for host in hosts:
        if host.name in seen:
            raise PlanUnreadable(f"the host {host.name!r} stands there twice", _HOW)
        seen.add(host.name)
    return hosts


def _host(given: Any, where: str) -> Host:
    if not isinstance(given, dict):
        raise PlanUnreadable(f"{where} must be an object", _HOW)
    name = _text(given, "name", where)
    where = f"{where} ({name})"
    _only(_FIELDS, given, where)
    stateful = given.get("stateful", True)
    if not isinstance(stateful, bool):
        raise PlanUnreadable(f"{where}: stateful must be true or false", _HOW)
    return Host(
        name,
        _text(given, "group", where),
        _text(given, "zone", where) if given.get("zone") is not None else "",
        _time(given.get("unreachable_since"), where),
        stateful,
        _one_of(STORAGES, given.get("storage", "unknown"), f"{where}: storage"),
        _one_of(ACTIONS, given.get("action", "none"), f"{where}: action"),
    )


def _only(names: set[str], given: dict[str, Any], where: str) -> None:
    strange = sorted(given.keys() - names)
    if strange:
        raise PlanUnreadable(
            f"{where} has a field that nobody knows: {strange[0]}", f"Known: {', '.join(sorted(names))}."
        )


def _text(given: dict[str, Any], name: str, where: str) -> str:
    found = given.get(name)
    if not isinstance(found, str) or not found:
        raise PlanUnreadable(f"{where}: {name} must be a text that is not empty", _HOW)
    return found


def _one_of(choices: tuple[str, ...], found: Any, where: str) -> str:
    if not isinstance(found, str) or found not in choices:
        raise PlanUnreadable(f"{where} must be one of {', '.join(choices)}", _HOW)
    return found


def _time(found: Any, where: str) -> dt.datetime | None:
    if found is None:
        return None
    try:
        time = dt.datetime.fromisoformat(found)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise PlanUnreadable(
            f"{where}: unreachable_since must be null or a time with its zone, such as 2026-03-06T22:04:10Z",
            _HOW,
        )
    return time
