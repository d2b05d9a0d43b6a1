"""The index that is made in the likeness of another's: its readers are to find no difference.

Fields, analysers and shards are those of the original. What would act on the new index by itself is not
taken along: a policy that removes it when it is old, a pipeline that changes what is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockstep.errors import Declined
from lockstep.systems.opensearch import layout
from lockstep.systems.opensearch.adopting.indices import Origin
from lockstep.systems.opensearch.answering import assert_whole
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout
from lockstep.systems.opensearch.mappings import conflicts
from lockstep.systems.opensearch.wire import META

_OF_THE_INDEX = (
    "uuid",
    "creation_date",
    "provided_name",
    "version.",
    "history.uuid",
    "resize.",
    "blocks.",
    "routing.allocation.initial_recovery.",
    "soft_deletes.enabled",
    "verified_before_close",
    "number_of_routing_shards",
)
"""Settings that are said of one index, not of what is in it."""

_ACTING = (
    "lifecycle.",
    "plugins.index_state_management.",
    "opendistro.index_state_management.",
    "default_pipeline",
    "final_pipeline",
)
"""Settings by which something would happen to the documents, or to the index, that nobody asked for."""


def problem(client: Client, origin: Origin, declared: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why it cannot be taken over, with the mend; None where it can."""
    live = origin.mappings
    if layout.loses_source(live, origin.settings):
        return (
            f"{origin.name} does not keep `_source` whole, so its documents cannot be read back",
            "Give the target another name; `lockstep run` builds it from the source.",
        )
    for one in conflicts(declared, live):
        return (
            f"the field {one.field} is declared with {one.what} {one.declared}, but in {origin.name} it has "
            f"{one.what} {one.live}",
            "Declare it as it is, so that readers see no change; `lockstep deploy` changes it afterwards.",
        )
    search = f"/{origin.name}/_search?size=0&terminate_after=1&ignore_unavailable=false"
    asked = {"query": {"exists": {"field": "_routing"}}, "track_total_hits": True}
    if answer := client.ask("POST", search, asked):
        assert_whole(client, answer)
    if live.get("_routing", {}).get("required") or (answer and answer["hits"]["total"]["value"]):
        return (
            f"documents of {origin.name} have a routing of their own; Lockstep finds a document by its id",
            "Give the target another name; `lockstep run` builds it from the source.",
        )
    return None


def body(
    names: Layout, origin: Origin, mark: Mapping[str, Any], declared: Mapping[str, Any]
) -> dict[str, Any]:
    """What creates the index, with the alias through which it is written, and no other."""
    settings = {
        name: value
        for name, value in origin.settings.items()
        if not name.removeprefix("index.").startswith(_OF_THE_INDEX + _ACTING)
    }
    fields = {**declared.get("properties", {}), **origin.mappings.get("properties", {})}
    return {
        "settings": {**settings, layout.GC_DELETES: layout.GC_DELETES_AT_LEAST},
        "mappings": {
            **origin.mappings,
            "_meta": layout.marked(origin.mappings, mark),
            "properties": {**fields, META: layout.META_MAPPING},
        },
        "aliases": {names.door: {}},
    }


def require_free(names: Layout, there: Origin | None) -> None:
    """Raises Declined where the index that is to be made stands there already and is somebody else's."""
    if there is not None and layout.marker_of(there.mappings) is None:
        raise Declined(
            f"the index {names.index} is there already and is not Lockstep's",
            f"Give the target another name, or remove it: DELETE /{names.index}",
        )
