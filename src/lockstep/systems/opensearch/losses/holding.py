"""What a search index would see of records, before anything is written.

A document keeps all that it is given: what can be lost is what searches, sorts and sums see of it. No cluster
says that without writing, so the mapping is asked for and judged here: the live one, else the one that the
index would be created with, growing by the records in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lockstep.errors import DataError
from lockstep.ports import Loss
from lockstep.systems.opensearch import layout, wire
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout
from lockstep.systems.opensearch.losses.fieldtypes import Fate, Rejected, Seen, fate, told
from lockstep.systems.opensearch.losses.growing import OBJECTS, UNKNOWN, Growing, Node
from lockstep.systems.opensearch.standing import standing
from lockstep.values import Record

_RESERVED = frozenset(
    {
        "_id",
        "_index",
        "_source",
        "_routing",
        "_field_names",
        "_version",
        "_seq_no",
        "_ignored",
        "_nested_path",
    }
)
_DOUBTFUL = frozenset({"_doc_count", "_tier", "_feature", "_primary_term", "_ignored_source"})
"""Names that some versions have for themselves."""

_ONE_OBJECT = frozenset({"flattened", "flat_object"})


class Fields(NamedTuple):
    """What stands in an index, or would stand in it: mapping, and settings by their full names."""

    mappings: Mapping[str, Any]
    settings: Mapping[str, Any]


def fields(client: Client, names: Layout, mappings: Mapping[str, Any], settings: Mapping[str, Any]) -> Fields:
    """Those of the index that is searched or written now; where there is none, those it would get."""
    there = standing(client, names)
    for index in [*there.searched, names.index]:
        if there.indices.get(index) is not None:
            found = client.ask("GET", f"/{index}?flat_settings=true")
            if found and index in found:
                return Fields(found[index].get("mappings") or {}, found[index].get("settings") or {})
    body = layout.body(names, "check", mappings, settings, searched=False)
    status, answer = client.send("POST", f"/_index_template/_simulate_index/{names.index}", None)
    made = client.parse(answer).get("template") or {} if status == 200 else {}
    inherited = made.get("mappings") or {}
    return Fields(
        _over(inherited.get("_doc", inherited), body["mappings"]),
        {**layout.flat_settings(made.get("settings") or {}), **body["settings"]},
    )


def losses(of: Fields, records: Sequence[Record]) -> list[Loss]:
    """See `ports.HoldingTarget`."""
    growing = Growing(of.mappings)
    found: list[Loss] = []
    for place, record in enumerate(records):
        growing.begin()
        lost = list(_Document(growing, of.settings, place).losses(record))
        if any(loss.refused is not None for loss in lost):
            growing.undo()
        found += lost
    return found


class _Document:
    """One record, walked along the mapping."""

    def __init__(self, growing: Growing, settings: Mapping[str, Any], place: int) -> None:
        self._growing = growing
        self._settings = settings
        self._place = place

    def losses(self, record: Record) -> Iterator[Loss]:
        root = self._growing.root
        dynamic = _dynamic(root, "true")
        for name, value in record.items():
            try:
                (sent,) = wire.DECODER.decode(wire.encode({name: value})).values()
            except DataError as error:
                yield self._loss(name, "JSON", value, Rejected(str(error)))
                continue
            except ValueError:
                continue  # a number longer than is read here
            if name in _RESERVED:
                yield self._loss(name, "a name of the cluster's own", sent, Rejected("give it another name"))
            elif name not in _DOUBTFUL:
                yield from self._named(root, dynamic, "", name, sent)

    def _named(self, above: Node, dynamic: str, prefix: str, name: str, value: Any) -> Iterator[Loss]:
        """A name with dots is a path of objects."""
        whole = prefix + name
        first, dot, rest = name.partition(".")
        if dot and above.get("subobjects", True) in (True, "true"):
            if not first or rest.startswith(".") or ".." in rest:
                yield self._loss(
                    whole, "no name that a field can have", value, Rejected("a part of it is empty")
                )
            elif rest:
                yield from self._named(above, dynamic, prefix, first, {rest: value})
            else:
                yield from self._named(above, dynamic, prefix, first, value)
        elif not name:
            yield self._loss(whole, "no name that a field can have", value, Rejected("it is empty"))
        elif name.strip():
            yield from self._field(above, dynamic, whole, name, value)

    def _field(self, above: Node, dynamic: str, path: str, name: str, value: Any) -> Iterator[Loss]:
        node = self._growing.find(above, name)
        if node is None and dynamic == "strict" and (value is None or value == []):
            yield self._loss(path, "not mapped (dynamic: strict)", value, Rejected(_STRICT))
            return
        for one in _leaves(value):
            node = self._growing.find(above, name)
            if node is None:
                made = self._growing.add(above, name, path, dynamic, one)
                if made is None or isinstance(made, Rejected):
                    said = f"not mapped (dynamic: {dynamic})"
                    yield self._loss(path, said, one, made or Seen(None))
                    return
                node = made
            elif self._growing.changes(node, one):
                why = "values of one document would make fields of different types"
                yield self._loss(path, f"{told(node)} by dynamic mapping", one, Rejected(why))
                return
            yield from self._value(node, dynamic, path, one)

    def _value(self, node: Node, dynamic: str, path: str, value: Any) -> Iterator[Loss]:
        kind = node.get("type") or ("object" if "properties" in node or "dynamic" in node else UNKNOWN)
        if str(node.get("enabled", True)).lower() == "false" or kind == UNKNOWN:
            return
        if kind in OBJECTS:
            if isinstance(value, dict):
                for name, inner in value.items():
                    yield from self._named(node, _dynamic(node, dynamic), f"{path}.", name, inner)
            else:
                yield self._loss(
                    path, kind, value, Rejected("it is a single value, and the field holds objects")
                )
            return
        if kind in _ONE_OBJECT and not isinstance(value, dict):
            yield self._loss(path, kind, value, Rejected("it is a single value, and the field holds objects"))
            return
        yield from self._judged(node, path, value)
        for name, field in (node.get("fields") or {}).items():
            if isinstance(fate(field, self._settings, value), Rejected):
                yield from self._judged(field, f"{path}.{name}", value)
        copies = node.get("copy_to") or ()
        for copy in [copies] if isinstance(copies, str) else copies:
            target = self._mapped(copy)
            if target is not None and isinstance(fate(target, self._settings, value), Rejected):
                yield from self._judged(target, copy, value)

    def _judged(self, field: Node, path: str, value: Any) -> Iterator[Loss]:
        found = fate(field, self._settings, value)
        if isinstance(found, Rejected) or (isinstance(found, Seen) and not _unseen(field)):
            yield self._loss(path, told(field), value, found)

    def _mapped(self, path: str) -> Node | None:
        node: Node | None = self._growing.root
        for name in path.split("."):
            node = self._growing.find(node, name) if node is not None else None
        return node

    def _loss(self, path: str, kind: str, value: Any, of: Fate) -> Loss:
        refused = of.reason if isinstance(of, Rejected) else None
        held = of.value if isinstance(of, Seen) else None
        return Loss(self._place, path, kind, value, held, refused, kept=refused is None)


_STRICT = "the mapping takes no other fields than its own"


def _dynamic(node: Node, above: str) -> str:
    return str(node.get("dynamic", above)).lower()


def _unseen(field: Node) -> bool:
    """Whether nobody searches it, sorts or adds it up: nothing of it can be lost."""
    return all(str(field.get(name, True)).lower() == "false" for name in ("index", "doc_values"))


def _leaves(value: Any) -> Iterator[Any]:
    """The values that a field gets: of lists their items, and no null."""
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping over that of a template: what both say, the upper one says."""
    found = dict(below)
    for name, value in above.items():
        there = found.get(name)
        both = isinstance(value, Mapping) and isinstance(there, Mapping) and name != "_meta"
        found[name] = _over(there, value) if both and isinstance(there, Mapping) else value
    return found
