"""Makes an index out of a saved state, so that it can be asked for again after a crash at any moment.

What stands under the name says how far it has come:

nothing                             it is begun
no alias, the marker that was saved begun, and cut off before anything was noted in it
`restoring` in its mapping          the cluster copies files; the note says for which marker, from what
the marker                          done: the alias through which it is written was made before

A build that was made of an index of others, which readers still find, keeps the note of that, so that they
can be moved to it.

A note is put into the mapping as soon as the cluster has the index, while its shards are still being copied.
Before the marker replaces it, nobody takes the index for a build of Lockstep's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

from lockstep.errors import Declined, Refused, SystemError_, Unreachable
from lockstep.systems.opensearch import layout
from lockstep.systems.opensearch.adopting.indices import origin_of
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout, Restoring
from lockstep.systems.opensearch.origins import primaries, snapshots_of
from lockstep.systems.opensearch.saved.places import Shelf, is_turn
from lockstep.systems.opensearch.saved.saved_states import Found
from lockstep.systems.opensearch.waiting import Patience

_UNSETTLED = ("index.blocks.*",)
"""Settings that were true of the saved index at its moment only: a block for a disk that was full."""

Note = Callable[[float | None], None]


class Restore:
    """One saved state, brought into one generation."""

    def __init__(self, client: Client, shelf: Shelf, saved: Found, path: str, names: Layout) -> None:
        self._client = client
        self._shelf = shelf
        self._saved = saved
        self._path = path
        self._names = names

    def bring(self, marker: str, note: Note) -> None:
        """Does what is left to do, and returns when the build is whole."""
        mark = Restoring(marker, self._saved.id)
        patience = Patience()
        patience.answered()  # the saved state has just been read
        note(0.0)
        while True:
            try:
                if self._step(mark, note):
                    return
                patience.answered()
            except Unreachable as error:
                patience.unanswered(error)
            patience.wait()

    def _step(self, mark: Restoring, note: Note) -> bool:
        """One step; whether it was the last."""
        index, found = self._names.index, self._found()
        if found is None:
            self._begin()
            found = self._found()
            if found is None:
                return False
        mappings, aliases = found.get("mappings"), found.get("aliases", {})
        begun, marker = layout.restoring_of(mappings), layout.marker_of(mappings)
        bare = self._names.door not in aliases and marker == self._saved.mark.get("marker")
        if begun is None and marker == mark.marker and not bare:
            if self._names.door not in aliases:
                self._open()
            return True
        if begun is not None and begun != mark and begun.marker == mark.marker:
            self._client.ask("DELETE", f"/{index}")  # of another saved state, for the same purpose
            return False
        if begun is None and self._ours(found):
            if not self._of_this():
                self._client.ask("DELETE", f"/{index}")
                return False
            self._put(mappings, {"restoring": mark._asdict(), **self._taken_over(mappings)})
        elif begun != mark:
            raise self._taken(begun.marker if begun else marker)
        if not self._copied(note):
            return False
        self._open()
        self._put(mappings, {"marker": mark.marker, **self._taken_over(mappings)})
        return True

    def _found(self) -> dict[str, Any] | None:
        path = f"/{self._names.index}?filter_path=*.aliases,*.mappings,*.settings.index.uuid"
        found = self._client.ask("GET", path) or {}
        one: dict[str, Any] | None = found.get(self._names.index)
        if one is None and found:
            raise self._taken(None)  # an alias has that name
        return one

    def _ours(self, found: dict[str, Any]) -> bool:
        """Whether it was begun by a restore of ours: marked as the index that was saved, but another one, and
        not opened for anybody."""
        uuid = found.get("settings", {}).get("index", {}).get("uuid")
        marker = layout.marker_of(found.get("mappings"))
        if found.get("aliases") or marker is None or uuid == self._saved.mark.get("uuid"):
            return False
        return marker == self._saved.mark.get("marker")

    def _of_this(self) -> bool:
        """Whether every shard comes from this saved state, as far as the cluster remembers."""
        return snapshots_of(self._client, self._names.index) == {self._path.removeprefix("/")}

    def _begin(self) -> None:
        body = {
            "indices": self._saved.of,
            "include_global_state": False,
            "include_aliases": False,
            "partial": False,
            "rename_pattern": "^.+$",
            "rename_replacement": re.sub(r"([\\$])", r"\\\1", self._names.index),
            "ignore_index_settings": list(_UNSETTLED),
        }
        answer = self._shelf.ask("POST", f"{self._path}/_restore?wait_for_completion=false", body)
        if answer.value is not None or is_turn(answer):
            return
        if answer.why.kind == "snapshot_restore_exception" and "same name" in answer.why.text:
            return  # it stands there by now, and is looked at
        failure = self._shelf.refusal(answer)
        raise Refused(
            f"the saved state {self._saved.name} of {self._names.alias} cannot be restored: {failure}",
            "Take an older one, see `lockstep snapshots`; the cluster's log says more.",
        )

    def _put(self, mappings: Any, mark: dict[str, Any]) -> None:
        body = {"_meta": layout.marked(mappings, mark)}
        self._client.ask("PUT", f"/{self._names.index}/_mapping", body)

    def _taken_over(self, mappings: Any) -> dict[str, Any]:
        """The note of what it was made of, where readers find that still. That a move of readers had blocked
        and cloned it was so at the saved moment: what is there by now may be another's, and is not undone."""
        note = layout.adopted_of(mappings)
        with contextlib.suppress(Declined):  # they find several: whoever moves them says so
            found = origin_of(self._client, self._names)
            if note is not None and found is not None and found.uuid == note.uuid:
                return {"adopted": note._replace(blocked=False, cloned=False)._asdict()}
        return {}

    def _open(self) -> None:
        """Gives it the alias through which it is written: now it is a build like any other."""
        action = {"add": {"index": self._names.index, "alias": self._names.door}}
        self._client.ask("POST", "/_aliases", {"actions": [action]})

    def _copied(self, note: Note) -> bool:
        """Whether all shards are there. Raises Refused, with nothing left behind, where one never will."""
        shards = primaries(self._client, self._names.index)
        if any(one.get("unassigned_info", {}).get("reason") == "CLUSTER_RECOVERED" for one in shards):
            self._client.ask("DELETE", f"/{self._names.index}")  # the restart has forgotten the restore
            return False
        for one in shards:
            if one.get("state") == "UNASSIGNED" and self._hopeless(one.get("unassigned_info", {})):
                raise self._failed(one)
        if shards and all(one.get("state") in ("STARTED", "RELOCATING") for one in shards):
            return True
        note(self._share())
        return False

    def _hopeless(self, why: dict[str, Any]) -> bool:
        """The cluster has decided against this shard, and does not try again by itself."""
        return why.get("allocation_status") in ("deciders_no", "no") or why.get("reason") == "RESTORE_FAILED"

    def _failed(self, shard: dict[str, Any]) -> SystemError_:
        """The error for a shard that cannot be made; the index is removed."""
        names, why = self._names, str(shard.get("unassigned_info", {}).get("details") or "")
        asked = {"index": names.index, "shard": shard.get("shard", 0), "primary": True}
        status, answer = self._client.send(
            "POST", "/_cluster/allocation/explain", self._client.content(asked)
        )
        said = self._client.parse(answer) if status == 200 else {}
        against = {
            str(decider.get("explanation", ""))
            for node in said.get("node_allocation_decisions", [])
            for decider in node.get("deciders", [])
        }
        self._client.ask("DELETE", f"/{names.index}")
        return Refused(
            f"the saved state {self._saved.name} of {names.alias} cannot be restored: "
            f"{_short(why) or '; '.join(sorted(against)) or 'no node takes it'}",
            "If files are missing or broken take an older one (`lockstep snapshots`); if no node has "
            "room or may take it, make room, and run it again.",
        )

    def _share(self) -> float | None:
        path = f"/{self._names.index}/_recovery?filter_path=*.shards.index.size"
        found = (self._client.ask("GET", path) or {}).get(self._names.index, {}).get("shards", [])
        sizes = [one.get("index", {}).get("size", {}) for one in found]
        total = sum(size.get("total_in_bytes") or 0 for size in sizes)
        done = sum(
            (size.get("recovered_in_bytes") or 0) + (size.get("reused_in_bytes") or 0) for size in sizes
        )
        return min(1.0, done / total) if total else None

    def _taken(self, marker: str | None) -> Refused:
        index = self._names.index
        whose = f"has the marker {marker}" if marker else "is not of this restore"
        return Refused(
            f"the index {index} is there already and {whose}",
            f"Restore into another generation, or remove it if nobody needs it: DELETE /{index}",
        )


def _short(why: str) -> str:
    """The root of a failure, without what it is wrapped in and the trace below it."""
    return why.partition("\n")[0].strip(" ;").rpartition("nested: ")[2][:500]
