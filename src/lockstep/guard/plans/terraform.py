"""What `terraform show -json` says of a plan, as values. Nothing is judged here.

Shape of the format: format_version "1.x"; planned_values and prior_state.values are trees of modules with
`resources` and `child_modules`; resource_changes is a flat list of {address, mode, type, change}; change has
actions, before, after, after_unknown, before_sensitive, after_sensitive, replace_paths. Keys that are empty
are left out of it, and minor versions add keys. What was moved or is imported stands in prior_state already,
at its new address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lockstep.errors import PlanUnreadable

KNOWN_ACTIONS = frozenset({"no-op", "create", "read", "update", "delete", "forget"})
_HOW = "Make it with: terraform show -json PLAN > plan.json"
_INDEX = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]')


@dataclass(frozen=True)
class Thing:
    """A resource as it is, or will be.

    `hidden`: the tree of marks of what in `values` is sensitive; `unknown`: of what is known only at apply.
    """

    address: str
    type: str
    mode: str
    module: str
    values: Mapping[str, Any]
    hidden: Any = False
    unknown: Any = False

    def shown(self, name: str) -> str:
        """A value for people to read; one that is sensitive is never said."""
        if marked(self.hidden, name):
            return "(sensitive)"
        if marked(self.unknown, name):
            return "(known at apply)"
        return str(self.values.get(name))

    def known(self, name: str) -> Any:
        """A value, or None where it is known at apply only."""
        return None if marked(self.unknown, name) else self.values.get(name)


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource."""

    address: str
    actions: tuple[str, ...]
    before: Thing | None
    after: Thing | None
    reason: str = ""
    replace_paths: tuple[str, ...] = ()
    deposed: str = ""

    @property
    def thing(self) -> Thing:
        """The resource that there is, or the one to come."""
        found = self.before or self.after
        assert found is not None
        return found

    @property
    def type(self) -> str:
        return self.thing.type

    @property
    def removes(self) -> bool:
        """Whether what there is goes: deleted, or replaced."""
        return "delete" in self.actions

    @property
    def replaces(self) -> bool:
        return "delete" in self.actions and "create" in self.actions

    @property
    def removes_first(self) -> bool:
        return self.actions == ("delete", "create")


@dataclass(frozen=True)
class TerraformPlan:
    """A plan. `prior`: what there is; `planned`: what there will be, as far as Terraform knows."""

    changes: tuple[Change, ...]
    prior: tuple[Thing, ...]
    planned: tuple[Thing, ...]
    drift: tuple[Change, ...] = ()
    deferred: tuple[str, ...] = ()
    errored: bool = False
    complete: bool = True
    configuration: Mapping[str, Any] = field(default_factory=dict)


def marked(tree: Any, name: str) -> bool:
    """Whether a tree of marks (after_unknown, before_sensitive …) marks a value, or anything in it."""
    return tree is True or (isinstance(tree, Mapping) and _any(tree.get(name)))


def _any(tree: Any) -> bool:
    if isinstance(tree, Mapping):
        return any(_any(part) for part in tree.values())
    if isinstance(tree, list):
        return any(_any(part) for part in tree)
    return tree is True


def without_index(address: str) -> str:
    """aws_subnet.a["x"] → aws_subnet.a: the block that count or for_each made many of."""
    return _INDEX.sub("", address)


def read_terraform(given: Any) -> TerraformPlan:
    """A plan from decoded JSON. Raises PlanUnreadable."""
    if not isinstance(given, dict) or "format_version" not in given:
        raise PlanUnreadable("this is no plan of Terraform: it has no format_version", _HOW)
    version = str(given["format_version"])
    if version.partition(".")[0] not in {"0", "1"}:
        raise PlanUnreadable(
            f"the plan has format {version}; this Lockstep reads 1.x, and does not guess", "Upgrade Lockstep."
        )
    if not given.keys() & {"resource_changes", "planned_values", "configuration"}:
        raise PlanUnreadable(
            "this is no plan: neither resource_changes nor planned_values"
            + (" (it is a state)" if "values" in given else ""),
            _HOW,
        )
    return TerraformPlan(
        tuple(_change(one) for one in _list(given, "resource_changes")),
        tuple(_things(_tree(given.get("prior_state"), "values"))),
        tuple(_things(given.get("planned_values"))),
        tuple(_change(one) for one in _list(given, "resource_drift")),
        tuple(_deferred(one) for one in _list(given, "deferred_changes")),
        given.get("errored") is True,
        given.get("complete") is not False,
        _object(given.get("configuration"), "configuration"),
    )


def _tree(given: Any, name: str) -> Any:
    return _object(given, name).get(name)


def _object(given: Any, where: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise PlanUnreadable(f"{where} is no object", _HOW)
    return given


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    found = given.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise PlanUnreadable(f"{name} is no list", _HOW)
    return found


def _things(values: Any) -> Iterator[Thing]:
    """The resources of a tree of modules; not recursive, as modules nest as deep as they like."""
    waiting = [_object(_object(values, "values").get("root_module"), "root_module")]
    while waiting:
        module = waiting.pop()
        name = str(module.get("address", ""))
        for given in _list(module, "resources"):
            one = _object(given, "a resource")
            if "deposed_key" in one:
                continue
            yield Thing(
                _text(one, "address"),
                _text(one, "type"),
                str(one.get("mode", "managed")),
                name,
                _object(one.get("values"), _text(one, "address")),
                one.get("sensitive_values", False),
            )
        waiting += [_object(child, "a module") for child in _list(module, "child_modules")]


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str) or not found:
        raise PlanUnreadable(f"a resource of the plan has no {name}", _HOW)
    return found


def _change(given: Any) -> Change:
    one = _object(given, "a change")
    address, type_ = _text(one, "address"), _text(one, "type")
    change = _object(one.get("change"), f"the change of {address}")
    actions = change.get("actions")
    if not isinstance(actions, list) or not actions or not all(isinstance(act, str) for act in actions):
        raise PlanUnreadable(f"the plan does not say what it does to {address}: no actions", _HOW)
    mode, module = str(one.get("mode", "managed")), str(one.get("module_address", ""))

    def thing(when: str) -> Thing:
        return Thing(
            address,
            type_,
            mode,
            module,
            _object(change.get(when), f"{when} of {address}"),
            change.get(f"{when}_sensitive", False),
            change.get("after_unknown", False) if when == "after" else False,
        )

    gone = set(actions) & {"delete", "forget"}
    return Change(
        address,
        tuple(actions),
        thing("before") if change.get("before") is not None or gone else None,
        None if gone and "create" not in actions else thing("after"),
        str(one.get("action_reason") or ""),
        tuple(_path(path) for path in _list(change, "replace_paths")),
        str(one.get("deposed") or ""),
    )


def _path(steps: Any) -> str:
    """["route", 0, "cidr"] → route.0.cidr: names only, never values."""
    return ".".join(str(step) for step in steps) if isinstance(steps, list) else str(steps)


def _deferred(given: Any) -> str:
    return _text(_object(_object(given, "a deferred change").get("resource_change"), "a change"), "address")
