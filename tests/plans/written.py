"""Plans written by hand, in the shape that `terraform show -json` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lockstep.guard.plans.finding import Finding
from lockstep.guard.plans.judge import judge_terraform
from lockstep.guard.plans.terraform import read_terraform

CREATE, DELETE, UPDATE, NOTHING = ("create",), ("delete",), ("update",), ("no-op",)
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
    local = (
        address.split("[")[0].split(".")[-2:]
        if "[" not in address.split(".")[-1]
        else address.split(".")[-2:]
    )
    module = address.rpartition("." + ".".join(local))[0]
    gone = set(actions) & {"delete", "forget"} and "create" not in actions
    inner = {
        "actions": list(actions),
        "before": before,
        "after": None if gone else {**(before or {}), **(after or {})},
        "after_unknown": {} if unknown is None else unknown,
        "before_sensitive": more.pop("before_sensitive", {}),
        "after_sensitive": more.pop("after_sensitive", {}),
    }
    for name in ("replace_paths", "importing"):
        if name in more:
            inner[name] = more.pop(name)
    return {
        "address": address,
        **({"module_address": module} if module.startswith("module.") else {}),
        "mode": "managed",
        "type": address.split(".")[-2].split("[")[0] if "." in address else address,
        "name": "x",
        "provider_name": "registry.terraform.io/hashicorp/aws",
        **more,
        "change": inner,
    }


def resource(address: str, values: Mapping[str, Any], mode: str = "managed", **more: Any) -> dict[str, Any]:
    """A resource of prior_state or planned_values."""
    return {
        "address": address,
        "mode": mode,
        "type": address.split(".")[-2],
        "name": "x",
        "values": values,
        "sensitive_values": {},
        **more,
    }


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
