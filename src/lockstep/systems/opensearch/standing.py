"""What stands in the cluster under the names that a generation needs."""

from __future__ import annotations

from typing import NamedTuple

from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.flavour import Flavour
from lockstep.systems.opensearch.layout import Layout, adopted_of, generation_of, marker_of
from lockstep.values import Finding


class Standing(NamedTuple):
    """The indices found under our names, each with its marker, or None where it is not Lockstep's.

    `searched`: those that the public alias leads to. `taken_over`: the index of others that readers find and
    that Lockstep took over; `made`: the indices of the generations that were made of it, the newest last;
    `broken_off`: a move of its readers was, and has left it without writes; `blocked`: it takes none, whoever
    blocked it. `missed`: of what the generation was made, where readers find nothing at all.

    A note of what a generation was made of may outlive the move of readers, in another build or in a saved
    state: it counts only where it names the very index that readers find.
    """

    indices: dict[str, str | None]
    searched: tuple[str, ...]
    taken_over: str | None = None
    made: tuple[str, ...] = ()
    broken_off: bool = False
    blocked: bool = False
    missed: str | None = None

    def problem(self, names: Layout, flavour: Flavour, *, creating: bool) -> Finding | None:
        """What stands in the way, with its mend."""
        alias, index = names.alias, names.index
        subject = f"{flavour.title.lower()}:{alias}"
        if self.taken_over is not None and not creating and not {*self.made} & {*self.searched}:
            return self._elsewhere(subject, alias)
        if self.missed is not None and not creating:
            return Finding(
                subject,
                f"applications that search {alias} find nothing: no index and no alias has that name",
                f"See who removed it. POST /_aliases gives it back: to {self.missed}, which {index} was made "
                "of, or to the index that is live where they were moved already.",
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

    def _elsewhere(self, subject: str, alias: str) -> Finding:
        """Readers still find what was taken over."""
        made, settings = " and ".join(self.made), f"/{self.taken_over}/_settings"
        write = f'To let applications write until then: PUT {settings} {{"index.blocks.write": null}}'
        if self.broken_off:
            return Finding(
                subject,
                f"the index {self.taken_over} takes no writes: moving its readers to {made} was broken off",
                f"Run it again, and it goes on: `lockstep move-readers MAPPING`. {write}",
                blocks=False,
            )
        return Finding(
            subject,
            f"applications that search {alias} still find the index {self.taken_over}, which was taken over "
            f"into {made}" + (", and takes no writes" if self.blocked else ""),
            "Move them when `lockstep verify` shows what you expect: `lockstep move-readers MAPPING`."
            + (f" {write}" if self.blocked else ""),
            blocks=False,
        )


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
    found_by = [names.alias] if names.alias in answer else list(searched)
    settings = {
        found.get("uuid"): found
        for name in found_by
        if (found := answer[name].get("settings", {}).get("index")) is not None
    }
    notes = {
        generation: note
        for name, found in answer.items()
        if (generation := generation_of(names.alias, name)) is not None
        and (note := adopted_of(found.get("mappings"))) is not None
    }
    here = {  # 0 is a rehearsal's
        generation: note for generation, note in sorted(notes.items()) if generation and note.uuid in settings
    }
    if not here:
        own = notes.get(names.generation)
        missed = own.name if own is not None and not found_by else None
        return Standing(indices, searched, missed=missed)
    first = next(iter(here.values()))
    blocked = str(settings[first.uuid].get("blocks", {}).get("write")).lower() == "true"
    made = tuple(Layout(names.alias, generation).index for generation in here)
    broken_off = blocked and any(note.blocked for note in here.values())
    return Standing(indices, searched, first.name, made, broken_off, blocked)
