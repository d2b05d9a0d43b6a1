"""What others have put under the public name: an index called so, or one that an alias of theirs leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lockstep.errors import Declined
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout, marker_of


class Origin(NamedTuple):
    """One index as others made it, all names and settings as the server has them.

    aliases  every alias that leads to it, with what is set on it
    """

    name: str
    uuid: str
    settings: Mapping[str, Any]
    mappings: Mapping[str, Any]
    aliases: Mapping[str, Any]

    def has_name(self, names: Layout) -> bool:
        """Whether the index itself is called as readers call it: the name is free only once it is gone."""
        return self.name == names.alias

    @property
    def blocked(self) -> bool:
        return any(
            str(self.settings.get(f"index.blocks.{block}")).lower() == "true"
            for block in ("write", "read_only", "read_only_allow_delete")
        )

    @property
    def shards(self) -> int:
        return int(self.settings["index.number_of_shards"])


def index_of(client: Client, index: str) -> Origin | None:
    """An index of this very name; None where there is none."""
    return _found(client, index).get(index)


def origin_of(client: Client, names: Layout) -> Origin | None:
    """What readers of the public name find; None where nothing has that name.

    Raises Declined where that is no single index.
    """
    found = _found(client, names.alias)
    if not found:
        return None
    if names.alias in found:
        return found[names.alias]
    led = [one for one in found.values() if names.alias in one.aliases]
    if not led:
        raise Declined(
            f"{names.alias} is a data stream, whose documents can only be appended",
            "Give the target another name; `lockstep run` builds it from the source.",
        )
    if len(led) > 1:
        several = ", ".join(sorted(one.name for one in led))
        raise Declined(
            f"the alias {names.alias} leads to several indices: {several}",
            "Point it at one of them (POST /_aliases), or give the target another name.",
        )
    return led[0]


def marked(origin: Origin) -> str | None:
    """The marker of Lockstep's in it."""
    return marker_of(origin.mappings)


def _found(client: Client, name: str) -> dict[str, Origin]:
    path = f"/{name}?ignore_unavailable=true&allow_no_indices=true&expand_wildcards=none&flat_settings=true"
    answer = client.ask("GET", path) or {}
    try:
        return {
            index: Origin(
                index,
                one["settings"]["index.uuid"],
                one["settings"],
                one.get("mappings", {}),
                one.get("aliases", {}),
            )
            for index, one in answer.items()
        }
    except (KeyError, TypeError) as error:
        raise client.rubbish(repr(answer).encode()) from error
