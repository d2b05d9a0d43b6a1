"""Plans written by hand, in the shape that `terraform show -json` prints (1.11, format 1.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.judge import judge_terraform
from lockstep.guard.plans.terraform import read_terraform

CREATE, DELETE, UPDATE, NOTHING = ("create",), ("delete",), ("update",), ("no-op",)
ADDRESS = re.compile(
    r'((?:module\.[\w-]+(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?\.)*)(data\.)?(\w+)\.(\w+)(?:\[(\d+|".*")\])?'
)
REPLACE, BESIDE = ("delete", "create"), ("create", "delete")


def change(
    address: str,
    actions: tuple[str, ...],
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    unknown: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """One of resource_changes. What is not said of `after` is as before."""
    gone = set(actions) & {"delete", "forget"} and "create" not in actions
    inner = {
        "actions": list(actions),
        "before": before,
        "after": None if gone else {**(before or {}), **(after or {})},
        "after_unknown": {} if unknown is None else unknown,
        "before_sensitive": more.pop("before_sensitive", False if before is None else {}),
        "after_sensitive": more.pop("after_sensitive", False if gone else {}),
    }
    for name in ("replace_paths", "importing"):
        if name in more:
            inner[name] = more.pop(name)
    return {**named(address), **more, "change": inner}


def named(address: str) -> dict[str, Any]:
    """What a plan says of a resource beside its values, all of it from the address."""
    parts = ADDRESS.fullmatch(address)
    assert parts is not None, address
    module, data, type_, name, index = parts.groups()
    return {
        "address": address,
        **({"module_address": module.rstrip(".")} if module else {}),
        "mode": "data" if data else "managed",
        "type": type_,
        "name": name,
        **({"index": json.loads(index)} if index else {}),
        "provider_name": f"registry.terraform.io/hashicorp/{type_.partition('_')[0]}",
    }


def resource(address: str, values: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A resource of prior_state or planned_values."""
    return {**named(address), "schema_version": 0, "values": values, "sensitive_values": {}, **more}


def plan(
    *changes: Mapping[str, Any],
    prior: Iterable[Mapping[str, Any]] = (),
    planned: Iterable[Mapping[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    """A whole plan."""
    return {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "planned_values": {"root_module": {"resources": list(planned)}},
        "prior_state": {
            "format_version": "1.0",
            "values": {"root_module": {"resources": list(prior)}},
        },
        "resource_changes": list(changes),
        **more,
    }


def judged(given: Any, **more: Any) -> list[Finding]:
    """What the rules find, from the JSON."""
    return judge_terraform(read_terraform(given), **more)


def said(given: Any, **more: Any) -> list[tuple[str, str, str]]:
    """(rule, severity, address) of each finding."""
    return [(one.rule, one.severity, one.address) for one in judged(given, **more)]
