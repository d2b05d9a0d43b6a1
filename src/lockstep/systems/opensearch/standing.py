"""What stands in the cluster under the names that a generation needs."""

from __future__ import annotations

from typing import NamedTuple

from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.flavour import Flavour
from lockstep.systems.opensearch.layout import Layout, adopted_of, marker_of
from lockstep.values import Finding


class Standing(NamedTuple):
    """The indices found under our names, each with its marker, or None where it is not Lockstep's.

    `searched`: those that the public alias leads to. `taken_over`: the index of others that ours was made of,
    until readers are moved.
    """

    indices: dict[str, str | None]
    searched: tuple[str, ...]
    taken_over: str | None = None

    def problem(self, names: Layout, flavour: Flavour, *, creating: bool) -> Finding | None:
        """What stands in the way, with its mend."""
        alias, index = names.alias, names.index
        subject = f"{flavour.title.lower()}:{alias}"
        if self.taken_over is not None and not creating and index not in self.searched:
            return Finding(
                subject,
                f"applications that search {alias} still find the index {self.taken_over}, which was taken "
                f"over into {index}",
                "Move them when `lockstep verify` shows what you expect: `lockstep move-readers MAPPING`.",
                blocks=False,
            )
        if alias in self.indices:
            return Finding(
                subject,
                f"an index is called {alias}, where Lockstep needs an alias of that name",
                "Take it over: `lockstep adopt MAPPING --dry-run` says what differs. Or give the target "
                f"another name, or remove the index: DELETE /{alias}",
            )
        strange = [name for name in self.searched if self.indices[name] is None]
        if strange:
            return Finding(
                subject,
                f"the alias {alias} leads to {', '.join(strange)}, which is not Lockstep's",
                "Take it over: `lockstep adopt MAPPING --dry-run` says what differs. Or give the target "
                f"another name, or remove the alias: DELETE /{strange[0]}/_alias/{alias}",
            )
        if index in self.indices and (creating or self.indices[index] is None):
            ours = self.indices[index] is not None
            return Finding(
                subject,
                f"the index {index} is there already" + ("" if ours else " and is not Lockstep's"),
                (
                    "Run with the state it belongs to (bring back its backup where it is lost), or remove it"
                    if ours
                    else "Give the target another name, or remove it"
                )
                + f": DELETE /{index}",
            )
        return None


def standing(client: Client, names: Layout) -> Standing:
    """Asks what is there. A name that does not exist is no error."""
    path = f"/{names.alias},{names.index}?ignore_unavailable=true&allow_no_indices=true&expand_wildcards=none"
    answer = client.ask("GET", f"{path}&filter_path=*.aliases,*.mappings._meta") or {}
    indices = {name: marker_of(found.get("mappings")) for name, found in answer.items()}
    searched = tuple(name for name, found in answer.items() if names.alias in found.get("aliases", {}))
    ours = adopted_of(answer.get(names.index, {}).get("mappings"))
    return Standing(indices, searched, None if ours is None else ours.name)
