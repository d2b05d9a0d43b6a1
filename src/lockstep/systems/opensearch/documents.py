"""What a cluster answers of a document, as a record with its metadata."""

from __future__ import annotations

from typing import Any

from lockstep.errors import Refused
from lockstep.systems.opensearch import bulk, wire
from lockstep.values import Held


def held(answered: dict[str, Any]) -> Held:
    """Raises Refused where it comes without its source, DataError where it is no record."""
    found = answered["_id"]
    return Held(bulk.key_of(found), *wire.split(found, source(answered)))


def source(answered: dict[str, Any]) -> dict[str, Any]:
    """What was sent of it. Raises Refused where it comes back without."""
    found = answered.get("_source")
    if not isinstance(found, dict):
        raise Refused(
            f"the document {answered.get('_id')!r} comes back without its source",
            "Use an index whose mapping keeps `_source`, and a user who may read every field.",
        )
    return found
