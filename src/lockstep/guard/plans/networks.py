"""Which network a resource is in, also where its id is known only at apply.

Then by what the configuration says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from lockstep.guard.plans.terraform import Thing, without_index

Place = tuple[str, ...]
"""A network: ("id", values …) or ("at", address)."""

_MOST = 20  # steps through modules; more is a circle
_STEP = re.compile(r'((?:module\.[\w-]+(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?\.?)*)')


class Networks:
    """Finds networks. `things`: all resources there are and will be."""

    def __init__(self, configuration: Mapping[str, Any], things: Iterable[Thing]) -> None:
        self._root = configuration.get("root_module") or {}
        self._instances: defaultdict[str, set[str]] = defaultdict(set)
        self._ids: dict[str, Thing] = {}
        for thing in things:
            self._instances[without_index(thing.address)].add(thing.address)
            self._ids.setdefault(thing.address, thing)

    def of(self, thing: Thing, fields: tuple[str, ...]) -> Place | None:
        """The network that these fields name; None where nobody can know yet."""
        values = [thing.known(name) for name in fields]
        if all(isinstance(value, str) and value for value in values):
            return ("id", *map(_last, values))
        name = fields[-1]
        found = self._refers(thing.module, self._expression(thing, name))
        return ("at", found) if found else None

    def _module(self, path: str) -> Mapping[str, Any]:
        found = self._root
        for name in re.findall(r"module\.([\w-]+)", path):
            found = ((found.get("module_calls") or {}).get(name) or {}).get("module") or {}
        return found

    def _expression(self, thing: Thing, name: str) -> Any:
        block = without_index(thing.address)
        local = block.removeprefix(without_index(thing.module) + ".") if thing.module else block
        for one in self._module(thing.module).get("resources") or ():
            if isinstance(one, Mapping) and one.get("address") == local:
                return (one.get("expressions") or {}).get(name)
        return None

    def _refers(self, module: str, expression: Any, steps: int = 0) -> str | None:
        """The address of the one resource that an expression in a module names."""
        if steps > _MOST or not isinstance(expression, Mapping):
            return None
        for said in expression.get("references") or ():
            first = str(said)
            if first.startswith("var."):
                parent, _, call = module.rpartition("module.")
                if not call:
                    return None
                parent = parent.rstrip(".")
                calls = self._module(parent).get("module_calls") or {}
                given = (calls.get(without_index(call)) or {}).get("expressions") or {}
                return self._refers(parent, given.get(first.split(".")[1]), steps + 1)
            if first.startswith("module."):
                path = _STEP.match(first)
                inner = path.group(1).rstrip(".") if path else ""
                output = first[len(path.group(1)) if path else 0 :].split(".")[0].split("[")[0]
                child = f"{module}.{inner}" if module else inner
                if not output:
                    return None
                outputs = self._module(child).get("outputs") or {}
                return self._refers(child, (outputs.get(output) or {}).get("expression"), steps + 1)
            if first.startswith(("each.", "count.", "local.", "path.", "self.")):
                continue
            return self._instance(f"{module}.{first}" if module else first)
        return None

    def _instance(self, reference: str) -> str | None:
        """module.a.aws_vpc.x[0].id → the address of that one resource, where there is only one that it
        can be.
        """
        block = without_index(reference)
        for known in (block, block.rpartition(".")[0]):
            there = self._instances.get(known, set())
            named = [one for one in there if reference == one or reference.startswith(one + ".")]
            if len(named) == 1:
                return named[0]
            if len(there) == 1:
                return next(iter(there))
        return None


def _last(value: Any) -> str:
    """A Google network is named by its name or by a URL that ends in project and name."""
    return re.sub(r"^https://[^/]+/compute/[^/]+/", "", value) if "/compute/" in value else value
