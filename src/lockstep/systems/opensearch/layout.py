"""How one generation of a target lies in the cluster.

`users`            the alias that applications search
`users-g1`         the index of generation 1
`users-g1-WRITE`   the alias through which it is written

The capitals are what keeps a write from creating an index. By default a cluster creates what a write names,
and deletes with an external version create even where `require_alias` is given. But an index name must be
lower-case, an alias need not be: where the alias is gone, nothing of that name can come into being.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lockstep.errors import DeclarationError
from lockstep.systems.opensearch.wire import META

GC_DELETES = "index.gc_deletes"
GC_DELETES_AT_LEAST = "1h"
FORMAT = 1

_NAME = re.compile(r"[^A-Z\\/*?\"<>|\s,#:]{1,200}")

META_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "id": {"type": "keyword"},
        "mapping": {"type": "keyword"},
        "key": {"type": "keyword"},
        "high": {"type": "long", "index": False},
        "low": {"type": "long", "index": False},
        "sum": {"type": "long", "index": False},
        "version": {"type": "long"},
    },
}
"""`id` repeats the document's id where it can be sorted by without heap; `key` is the source key in hex,
which sorts as its bytes do; `high` and `low` are halves of the fingerprint, which a cluster adds up exactly,
though its sums are doubles."""


@dataclass(frozen=True)
class Layout:
    """The names of one generation."""

    alias: str
    generation: int

    @property
    def index(self) -> str:
        return f"{self.alias}-g{self.generation}"

    @property
    def door(self) -> str:
        return f"{self.index}-WRITE"


def generation_of(alias: str, index: str) -> int | None:
    """The generation of a name that a `Layout` gives; None where it is not one of this alias."""
    number = index.removeprefix(f"{alias}-g")
    if number == index or not re.fullmatch(r"0|[1-9][0-9]*", number):
        return None
    return int(number)


def checked_name(name: str) -> str:
    """A name that an index can have. Raises DeclarationError."""
    if not _NAME.fullmatch(name) or name[0] in "-_+." or len(name.encode()) > 200:
        raise DeclarationError(
            f"{name!r} cannot be the name of an index",
            'Use lower-case letters, digits, "-", "_" and ".", at most 200, beginning with a letter.',
        )
    return name


def body(
    layout: Layout, marker: str, mappings: Mapping[str, Any], settings: Mapping[str, Any], searched: bool
) -> dict[str, Any]:
    """What creates a generation, aliases and all, in one call. `searched`: it gets the public alias."""
    beside = {**mappings.get("_meta", {}), "lockstep": {"marker": marker, "format": FORMAT}}
    fields = {**mappings.get("properties", {}), META: META_MAPPING}
    aliases: dict[str, Any] = {layout.door: {}}
    if searched:
        aliases[layout.alias] = {"is_write_index": True}
    return {
        "settings": {GC_DELETES: GC_DELETES_AT_LEAST} | flat_settings(settings),
        "mappings": {**mappings, "_meta": beside, "properties": fields},
        "aliases": aliases,
    }


def flat_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, however nested, by their full names: `index.number_of_shards`."""
    flat: dict[str, Any] = {}

    def put(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                put(f"{prefix}.{name}" if prefix else str(name), inner)
        else:
            flat[prefix if prefix.startswith("index.") else f"index.{prefix}"] = value

    put("", settings)
    return flat


def marker_of(mappings: Any) -> str | None:
    """The marker in a live mapping; None where the index is not Lockstep's."""
    try:
        marker = mappings["_meta"]["lockstep"]["marker"]
    except (KeyError, TypeError):
        return None
    return marker if isinstance(marker, str) else None


class Restoring(NamedTuple):
    """What stands in a mapping instead of the marker while its index is restored: the marker it is to have,
    and the saved state that it comes from, by its id."""

    marker: str
    saved: str


def restoring_of(mappings: Any) -> Restoring | None:
    """Whose restore an index was made by; None where it is no half-restored one."""
    try:
        begun = mappings["_meta"]["lockstep"]["restoring"]
        return Restoring(str(begun["marker"]), str(begun["saved"]))
    except (KeyError, TypeError):
        return None


def marked(mappings: Any, mark: Mapping[str, Any]) -> dict[str, Any]:
    """The `_meta` of a live mapping with another mark of Lockstep's; what others have put there stays."""
    beside = mappings.get("_meta", {}) if isinstance(mappings, Mapping) else {}
    return {**beside, "lockstep": {**mark, "format": FORMAT}}


_SOURCELESS = {
    "index.mode": ("logsdb", "time_series"),
    "index.mapping.source.mode": ("synthetic", "disabled"),
    "index.mapping.exclude_source_vectors": ("true",),
    "index.derived_source.enabled": ("true",),
}
"""Settings, and the values with which documents do not come back as they were sent."""


def loses_source(mappings: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether documents could not be read back whole."""
    flat = flat_settings(settings)
    return "_source" in mappings or any(
        str(flat.get(name)).lower() in values for name, values in _SOURCELESS.items()
    )


SOURCE_NEEDED = (
    "the mappings or settings change `_source`, so documents could not be read back as they were sent",
    "Remove `_source` from the mappings, and source modes, vector exclusion and derived source from the "
    "settings; Lockstep compares what the index holds with what should be there.",
)


class Adopted(NamedTuple):
    """What stands beside the marker of an index that was made of another's, until readers were moved to it.

    marks    the highest sequence number of each shard when copying began (`carrying`); None: not copied yet
    copied   it was copied to the end once: what came after is what was written after the marks
    blocked  it was Lockstep that blocked the other index for writing
    cloned   what stands under the name that the other index is to be kept as is a clone that Lockstep began
    """

    name: str
    uuid: str
    marks: tuple[int, ...] | None = None
    copied: bool = False
    blocked: bool = False
    cloned: bool = False


def adopted_of(mappings: Any) -> Adopted | None:
    """Of which index one was made; None where it was not, or where readers were moved."""
    try:
        said = mappings["_meta"]["lockstep"]["adopted"]
        marks = said["marks"]
        return Adopted(
            str(said["name"]),
            str(said["uuid"]),
            None if marks is None else tuple(map(int, marks)),
            bool(said["copied"]),
            bool(said["blocked"]),
            bool(said["cloned"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
