"""What stands in the cluster under the names that a generation needs."""

from __future__ import annotations

from typing import NamedTuple

from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.flavour import Flavour
from lockstep.systems.opensearch.layout import Layout, adopted_of, generation_of, marker_of
from lockstep.values import Finding


class Standing(NamedTuple):
    """The indices found under our names, each with its marker, or None where it is not Lockstep's.

    `searched`: those that the public alias leads to. `taken_over`: the index of others that a generation was
    made of, until readers are moved; `made`: that generation's index; `blocked`: a move of readers that was
    broken off has left it without writes.
    """

    indices: dict[str, str | None]
    searched: tuple[str, ...]
    taken_over: str | None = None
    made: str | None = None
    blocked: bool = False

    def problem(self, names: Layout, flavour: Flavour, *, creating: bool) -> Finding | None:
        """What stands in the way, with its mend."""
        alias, index = names.alias, names.index
        subject = f"{flavour.title.lower()}:{alias}"
        if self.taken_over is not None and not creating and self.made not in self.searched:
            if self.blocked:
                return Finding(
                    subject,
                    f"the index {self.taken_over} takes no writes: moving its readers to {self.made} was "
                    "broken off",
                    "Run it again, and it goes on: `lockstep move-readers MAPPING`. To let applications "
                    f'write until then: PUT /{self.taken_over}/_settings {{"index.blocks.write": null}}',
                    blocks=False,
                )
            return Finding(
                subject,
                f"applications that search {alias} still find the index {self.taken_over}, which was taken "
                f"over into {self.made}",
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
    path = f"/{names.alias},{names.index},{names.alias}-g*?ignore_unavailable=true&allow_no_indices=true"
    path += "&expand_wildcards=open,closed&filter_path=*.aliases,*.mappings._meta"
    path += ",*.settings.index.uuid,*.settings.index.blocks"
    answer = client.ask("GET", path) or {}
    searched = tuple(name for name, found in answer.items() if names.alias in found.get("aliases", {}))
    indices = {
        name: marker_of(found.get("mappings"))
        for name, found in answer.items()
        if name in (names.alias, names.index, *searched)
    }
    public = names.alias if names.alias in answer else next(iter(searched), "")
    uuid = answer.get(public, {}).get("settings", {}).get("index", {}).get("uuid")
    notes = {
        name: note
        for name, found in answer.items()
        if generation_of(names.alias, name) is not None
        and (note := adopted_of(found.get("mappings"))) is not None
        and (note.uuid == uuid or name == names.index)
    }
    made = next((name for name, note in notes.items() if note.uuid == uuid), next(iter(notes), None))
    if made is None:
        return Standing(indices, searched)
    blocked = notes[made].blocked and answer.get(public, {}).get("settings", {}).get("index", {}).get(
        "blocks"
    )
    return Standing(indices, searched, notes[made].name, made, bool(blocked))
