"""Which network a resource is in, also where its id is known only at apply.

Then by what the configuration says. The configuration is a hint: a part of it that has another shape than the
format promises is read as not there, so that the network is unknown.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from lockstep.guard.plans.kinds import ADDRESSED, REALMS, Naming
from lockstep.guard.plans.terraform import Thing, without_index

Place = tuple[str, ...]
"""A network: ("id", values …) or ("at", address)."""

_MOST = 20  # steps through modules; more is a circle
_INDEX = r'(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])'
_STEP = re.compile(rf"((?:module\.[\w-]+{_INDEX}?\.?)*)")
_LAST = re.compile(rf"(?:(.*)\.)?module\.([\w-]+){_INDEX}?$")
_OWN = {"id", "name"}  # an identity that ends in one of these is the network's own
_GOOGLE = re.compile(r"(?:(?:.*/)?projects/([^/]+)/)?(?:global/networks/)?([^/]+)$")


class Networks:
    """Finds networks. `things`: all resources there are and will be."""

    def __init__(self, configuration: Mapping[str, Any], things: Iterable[Thing]) -> None:
        self._root = _part(configuration, "root_module")
        self._instances: defaultdict[str, set[str]] = defaultdict(set)
        self._ids: dict[str, Thing] = {}
        self._projects: defaultdict[str, set[str]] = defaultdict(set)
        for thing in things:
            self._instances[without_index(thing.address)].add(thing.address)
            self._ids.setdefault(thing.address, thing)
            self._note_project(thing)

    def of(
        self, thing: Thing, fields: tuple[str, ...], naming: Naming = "exact", steps: int = 0
    ) -> Place | None:
        """The network that these fields name; None where nobody can know yet."""
        values = [thing.known(name) for name in fields]
        texts = [value for value in values if isinstance(value, str) and value]
        if len(texts) == len(fields):
            return self._named(thing, texts, naming)
        name = fields[-1]
        if name in _OWN:
            return ("at", thing.address)
        found = self._refers(thing.module, self._expression(thing, name))
        if found is None:
            return None
        other = self._ids.get(found)
        realm = REALMS.get(other.type) if other else None
        if other is None or realm is None or steps > _MOST:
            return ("at", found)
        return self.of(other, realm.identity, realm.naming, steps + 1) or ("at", found)

    def _named(self, thing: Thing, values: list[str], naming: Naming) -> Place | None:
        if naming == "azure":
            return ("id", *(value.casefold() for value in values))
        if naming == "exact":
            return ("id", *values)
        project, name = _google(thing, values[-1])
        if not project:
            known = self._projects.get(name, set())
            if len(known) > 1:
                return None
            project = next(iter(known), "")
        return ("id", project, name)

    def _note_project(self, thing: Thing) -> None:
        """A name without its project is that of the one project that is known to have such a network."""
        addressed, realm = ADDRESSED.get(thing.type), REALMS.get(thing.type)
        kind = addressed or realm
        if kind is None or kind.naming != "google":
            return
        said = thing.known(addressed.network[-1] if addressed else "name")
        if isinstance(said, str) and said:
            project, name = _google(thing, said)
            if project:
                self._projects[name].add(project)

    def _module(self, path: str) -> Mapping[str, Any]:
        found = self._root
        for name in re.findall(r"module\.([\w-]+)", without_index(path)):
            found = _part(found, "module_calls", name, "module")
        return found

    def _expression(self, thing: Thing, name: str) -> Any:
        block = without_index(thing.address)
        local = block.removeprefix(without_index(thing.module) + ".") if thing.module else block
        blocks = self._module(thing.module).get("resources")
        for one in blocks if isinstance(blocks, list) else ():
            if isinstance(one, Mapping) and one.get("address") == local:
                return _part(one, "expressions").get(name)
        return None

    def _refers(self, module: str, expression: Any, steps: int = 0) -> str | None:
        """The address of the one resource that an expression in a module names; None if there are several."""
        said = expression.get("references") if isinstance(expression, Mapping) else None
        if steps > _MOST or not isinstance(said, list):
            return None
        found = set()
        for one in said:
            reference = str(one)
            if reference.startswith("local."):
                return None  # what a local is made of stands nowhere in the plan
            if not reference.startswith(("each.", "count.", "path.", "self.")):
                found.add(self._named_by(module, reference, steps))
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    def _named_by(self, module: str, reference: str, steps: int) -> str | None:
        variable = re.match(r"var\.([\w-]+)", reference)
        if variable:
            call = _LAST.fullmatch(module)
            if call is None:
                return None
            parent = call.group(1) or ""
            given = _part(self._module(parent), "module_calls", call.group(2), "expressions")
            return self._refers(parent, given.get(variable.group(1)), steps + 1)
        if reference.startswith("module."):
            path = _STEP.match(reference)
            inner = path.group(1) if path else ""
            output = re.match(r"[\w-]*", reference[len(inner) :])
            child = f"{module}.{inner}".strip(".")
            given = _part(self._module(child), "outputs", output.group() if output else "")
            return self._refers(child, given.get("expression"), steps + 1)
        return self._instance(f"{module}.{reference}" if module else reference)

    def _instance(self, reference: str) -> str | None:
        """module.a.aws_vpc.x[0].id → the address of that one resource, where it can be only one."""
        block = without_index(reference)
        for known in (block, block.rpartition(".")[0]):
            there = self._instances.get(known, set())
            named = [one for one in there if reference == one or reference.startswith(one + ".")]
            if len(named) == 1:
                return named[0]
            if len(there) == 1:
                return next(iter(there))
        return None


def _part(tree: Any, *names: str) -> Mapping[str, Any]:
    """What stands in a tree under these names, or nothing where the tree has another shape."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def _google(thing: Thing, said: str) -> tuple[str, str]:
    """(project, name) of a Google network, which is named by its name or by a URL that may begin anywhere."""
    named = _GOOGLE.fullmatch(said)
    if named is None:
        return "", said
    project = named.group(1) or thing.known("project")
    return (project if isinstance(project, str) else ""), named.group(2)
