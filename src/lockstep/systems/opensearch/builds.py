"""The builds of an index side by side: which one the public alias leads to, and how it is moved.

The alias is moved in one `_aliases` call, which the cluster applies as one change of its state: a search
finds either the old index or the new one. What is set on the alias (a filter, routing) goes with it.
"""

from __future__ import annotations

from typing import Any

from lockstep.errors import Refused, TargetReplaced, Unreachable
from lockstep.systems.opensearch.answering import assert_answering
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout, generation_of, marker_of, restoring_of
from lockstep.systems.opensearch.origins import snapshots_of
from lockstep.systems.opensearch.standing import Standing, standing

_TRIES = 3


class Builds:
    """The generations of one index."""

    def __init__(self, client: Client, alias: str) -> None:
        self._client = client
        self._alias = alias

    def searched(self) -> int | None:
        """The generation that the public alias leads to; None where readers find what one was made of. Raises
        Refused where they find anything else that is not ours."""
        names = Layout(self._alias, 0)
        there = standing(self._client, names)
        if there.taken_over is not None:
            return None
        self._assert_ours(names, there)
        if not there.searched:
            return None
        found = generation_of(self._alias, there.searched[0])
        if len(there.searched) > 1 or found is None:
            raise Refused(
                f"the alias {self._alias} leads to {', '.join(sorted(there.searched))}, no single generation",
                f"Take it from all but one generation of Lockstep's: DELETE /INDEX/_alias/{self._alias}",
            )
        return found

    def assert_pointable(self, generation: int) -> None:
        """Raises Refused where readers find what is not Lockstep's, and this build was not made of it."""
        self._standing(Layout(self._alias, generation))

    def point(self, generation: int) -> None:
        """Moves the public alias, once all of the build can be searched. Where readers find what it was
        made of they stay there, until a person moves them."""
        names = Layout(self._alias, generation)
        for _ in range(_TRIES):
            there = self._standing(names)
            if there.indices.get(names.index) is None:
                raise TargetReplaced(
                    f"there is no generation {generation} of {self._alias}: "
                    f"the index {names.index} is not there, or has no marker of Lockstep's",
                    "Restore it, or build it anew.",
                )
            assert_answering(self._client, names.index, "readers are not sent there")
            if names.index in there.made:
                return  # a person moves them, when they have seen it: `moving`
            if self._leads(names) or self._moved(names, there):
                return
        raise Unreachable(
            f"somebody else moves the alias {self._alias} at this moment",
            f"See who changes it (GET /_alias/{self._alias}), and run it again.",
        )

    def _leads(self, names: Layout) -> bool:
        """Whether the alias leads to this build alone already."""
        found = self._aliases()
        return list(found) == [names.index] and bool(found[names.index].get("is_write_index"))

    def _aliases(self) -> dict[str, dict[str, Any]]:
        """The indices that the public alias leads to, each with what is set on it."""
        path = f"/{self._alias}?ignore_unavailable=true&allow_no_indices=true&expand_wildcards=none"
        found = self._client.ask("GET", f"{path}&filter_path=*.aliases") or {}
        return {
            name: one["aliases"][self._alias]
            for name, one in found.items()
            if self._alias in one.get("aliases", {})
        }

    def _moved(self, names: Layout, there: Standing) -> bool:
        """One atomic call; False where the alias has been moved meanwhile."""
        found = self._aliases()
        if set(found) != set(there.searched):
            return False
        kept = next(iter(found.values()), {})
        actions: list[dict[str, Any]] = [
            {"remove": {"index": other, "alias": self._alias, "must_exist": True}}
            for other in found
            if other != names.index
        ]
        kept = {name: value for name, value in kept.items() if name != "is_write_index"}
        actions.append({"add": {"index": names.index, "alias": self._alias, **kept, "is_write_index": True}})
        status, answer = self._client.send("POST", "/_aliases", self._client.content({"actions": actions}))
        if status == 404:
            return False  # an index or the alias on it is gone since
        if status != 200:
            raise self._client.failure(status, answer)
        return self._leads(names)

    def remove(self, generation: int, marker: str) -> None:
        """Deletes the index of a build that is not searched, the half-restored one of this marker too."""
        names = Layout(self._alias, generation)
        found = self._client.ask("GET", f"/{names.index}?filter_path=*.aliases,*.mappings._meta")
        if found is None or names.index not in found:
            return
        one = found[names.index]
        mappings = one.get("mappings")
        aliases = one.get("aliases", {})
        if self._alias in aliases:
            raise Refused(
                f"generation {generation} of {self._alias} is the one that is searched",
                "Point at another generation first.",
            )
        begun = restoring_of(mappings)
        theirs = marker_of(mappings) if begun is None else begun.marker
        cut_off = begun is None and not aliases and self._just_restored(names.index)
        if theirs != marker and not cut_off:
            raise Refused(
                f"the index {names.index} "
                + ("is not Lockstep's" if theirs is None else f"has the marker {theirs}, not {marker}"),
                f"See whose it is. If nobody needs it: DELETE /{names.index}",
            )
        self._client.ask("DELETE", f"/{names.index}")

    def _just_restored(self, index: str) -> bool:
        """Whether it comes from a saved state of this target: without an alias too, it is what a restore left
        that was cut off before it could leave its note."""
        found = snapshots_of(self._client, index)
        return bool(found) and all((one or "").startswith(f"lockstep-{self._alias}.") for one in found)

    def _standing(self, names: Layout) -> Standing:
        """What stands there. Raises Refused where readers find what is not Lockstep's, and this generation
        was not made of it."""
        there = standing(self._client, names)
        if names.index not in there.made:
            self._assert_ours(names, there)
        return there

    def _assert_ours(self, names: Layout, there: Standing) -> None:
        if names.alias in there.indices or any(there.indices[name] is None for name in there.searched):
            problem = there.problem(names, self._client.flavour, creating=False)
            assert problem is not None
            raise Refused(problem.problem, problem.mend)
