"""The mapping of a search index as it grows with each document: what dynamic mapping makes of new fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from lockstep.systems.opensearch.losses import times
from lockstep.systems.opensearch.losses.fieldtypes import Rejected

UNKNOWN = "?"
"""The type of a field of which nothing is claimed."""

OBJECTS = frozenset({"object", "nested"})

Node = dict[str, Any]

_MATCHES = frozenset({"match_mapping_type", "match", "unmatch", "path_match", "path_unmatch", "mapping"})
_GUESSED = {bool: "boolean", int: "long", Decimal: "double", str: "string", dict: "object"}


class Growing:
    """A mapping, and what one document after another adds to it. `root` is its top."""

    def __init__(self, mappings: Mapping[str, Any]) -> None:
        self.root: Node = deepcopy(dict(mappings))
        self._added: list[tuple[Node, str]] = []
        self._as: dict[int, Any] = {}

    def begin(self) -> None:
        """A document begins."""
        self._added.clear()
        self._as.clear()

    def undo(self) -> None:
        """The document was refused: it adds nothing."""
        for properties, name in self._added:
            properties.pop(name, None)
        self.begin()

    def find(self, above: Node, name: str) -> Node | None:
        found = (above.get("properties") or {}).get(name)
        return found if isinstance(found, dict) else None

    def add(self, above: Node, name: str, path: str, dynamic: str, value: Any) -> Node | Rejected | None:
        """The field that a value makes; None where it is left unmapped."""
        made = self._templated(path, name, value)
        if made is None:
            if dynamic.startswith("strict"):
                return Rejected("the mapping takes no other fields than its own")
            if dynamic.startswith("false"):
                return None
            made = {"type": UNKNOWN} if dynamic != "true" else self.guessed(value)
        properties = above.setdefault("properties", {})
        properties[name] = made
        self._added.append((properties, name))
        self._as[id(made)] = made.get("type")
        return made

    def changes(self, node: Node, value: Any) -> bool:
        """Whether a second value of the same document would make another field than the first one has. Within
        one document each value is guessed of, and the guesses have to agree."""
        guess = self._as.get(id(node))
        if guess is None or guess == UNKNOWN or self.root.get("dynamic_templates"):
            return False
        other = self.guessed(value).get("type")
        return other not in (guess, UNKNOWN)

    def guessed(self, value: Any) -> Node:
        if isinstance(value, dict):
            return {"properties": {}, "type": "object"}
        if isinstance(value, bool):
            return {"type": "boolean"}
        if isinstance(value, int):
            return {"type": "long"}
        if isinstance(value, Decimal):
            return {"type": "float"}
        return self._of_text(value)

    def _of_text(self, value: str) -> Node:
        if _true(self.root.get("numeric_detection", False)):
            return {"type": UNKNOWN}
        if _true(self.root.get("date_detection", True)):
            formats = self.root.get("dynamic_date_formats") or [times.STRICT, times.SLASHED]
            try:
                found = times.detected(value, formats)
            except times.Unsure:
                return {"type": UNKNOWN}
            if found is not None:
                return {"type": "date", **({"format": found} if found else {})}
        return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}

    def _templated(self, path: str, name: str, value: Any) -> Node | None:
        guess = _GUESSED[type(value)]
        if guess == "string" and self.guessed(value)["type"] in ("date", UNKNOWN):
            guess = self.guessed(value)["type"]
        for template in self._templates():
            if not _MATCHES.issuperset(template) or guess == UNKNOWN:
                return {"type": UNKNOWN}
            wanted = template.get("match_mapping_type", "*")
            if (
                (wanted in ("*", guess) or (isinstance(wanted, list) and guess in wanted))
                and _named(template, "match", "unmatch", name)
                and _named(template, "path_match", "path_unmatch", path)
            ):
                return self._made(template.get("mapping") or {}, guess, value)
        return None

    def _made(self, mapping: Mapping[str, Any], guess: str, value: Any) -> Node:
        if any("{" in part for part in _texts(mapping)):
            return {"type": UNKNOWN}  # `{name}`, `{dynamic_type}`
        made = deepcopy(dict(mapping))
        if "type" not in made:
            made["type"] = "text" if guess == "string" else self.guessed(value).get("type")
        return made

    def _templates(self) -> Iterator[Mapping[str, Any]]:
        for named in self.root.get("dynamic_templates") or ():
            yield from named.values()


def _named(template: Mapping[str, Any], match: str, unmatch: str, name: str) -> bool:
    def any_of(patterns: Any) -> bool:
        listed = [patterns] if isinstance(patterns, str) else patterns
        return any(fnmatchcase(name, re.sub(r"([\[?])", r"[\1]", one)) for one in listed)

    return (match not in template or any_of(template[match])) and (
        unmatch not in template or not any_of(template[unmatch])
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
