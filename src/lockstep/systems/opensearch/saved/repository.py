"""Saved states of an index by the cluster's snapshot API: one index each, incremental, nothing else in it.

The cluster works by itself and is asked how far it has come: a connection that is cut, or a process that is
killed, stops nothing, and who asks again finds what was begun.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from lockstep.errors import Refused, SystemError_, TargetReplaced, Unreachable
from lockstep.systems.opensearch.answering import PartMissing, assert_answering
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout, marker_of, restoring_of
from lockstep.systems.opensearch.reasons import Reason
from lockstep.systems.opensearch.saved.places import Answer, Full, Place, Shelf, is_turn
from lockstep.systems.opensearch.saved.restore import Restore
from lockstep.systems.opensearch.saved.saved_states import Found, SavedStates, Unreadable
from lockstep.systems.opensearch.scan import Scanner
from lockstep.systems.opensearch.waiting import Patience
from lockstep.values import Identity, Saved

_TURN = 600.0
"""Seconds that another snapshot of the cluster may take before ours gives up its place."""

_VANISHED = 3
"""How often a snapshot may be taken on and leave no trace: so ends one that could not write its end."""

_TAKEN = ("invalid_snapshot_name_exception", "snapshot_name_already_in_use_exception")
"""How OpenSearch and Elasticsearch call a name that another snapshot has, whole or being made."""


class SnapshotRepository:
    """A `ports.Repository` of one index."""

    def __init__(
        self, client: Client, place: Place, alias: str, identity: Callable[[int], Identity | None]
    ) -> None:
        self._client = client
        self._alias = alias
        self._identity = identity
        self._shelf = Shelf(client, place)
        self._states = SavedStates(self._shelf, alias)
        self._progress: float | None = None

    def save(self, generation: int, name: str) -> Saved:
        """Begins it, or finds it begun, and waits until it is whole."""
        path = self._states.path(name)
        patience, begun, turn = Patience(), False, time.monotonic() + _TURN
        vanished = 0
        self._progress = 0.0
        try:
            while True:
                try:
                    found = self._found(name)
                    patience.answered()
                    if found is not None and found.whole:
                        return self._states.saved([found])[0]
                    if found is None or not found.running:
                        if begun and found is not None:
                            raise self._spoilt(found)
                        if found is not None:
                            self.forget(name)
                        vanished += begun and found is None
                        if vanished == _VANISHED:
                            raise self._vanished(name)
                        begun = self._begin(generation, path, turn)
                    else:
                        self._progress = self._done(name)
                except PartMissing:
                    raise
                except Unreachable as error:
                    patience.unanswered(error)
                patience.wait()
        finally:
            self._progress = None

    def _found(self, name: str) -> Found | None:
        """One, where broken files of a half-made one under that name are as none."""
        try:
            return self._states.get(name)
        except Unreadable:
            self.forget(name)
            return None

    def _begin(self, generation: int, path: str, turn: float) -> bool:
        """Whether the cluster has taken it on; False while another snapshot is in the way."""
        names = Layout(self._alias, generation)
        body = {
            "indices": names.index,
            "include_global_state": False,
            "ignore_unavailable": False,
            "partial": False,
            "metadata": {"lockstep": self._mark(names)},
        }
        answer = self._shelf.ask("PUT", f"{path}?wait_for_completion=false", body)
        if answer.value is not None:
            return True
        if is_turn(answer):
            if time.monotonic() > turn:
                raise Unreachable(
                    f"the cluster makes no other snapshot while {self._who()} goes on",
                    "Wait for it, or end it: see GET /_snapshot/_status.",
                )
            return False
        if answer.why.kind == "index_not_found_exception":
            raise self._gone(names)
        if answer.why.kind in _TAKEN and "same name" in answer.why.text:
            return False  # somebody else was faster; it is looked at next
        raise self._shelf.refusal(answer)

    def _mark(self, names: Layout) -> dict[str, Any]:
        """What is kept beside a saved state. Raises TargetReplaced where there is no build."""
        found = self._client.ask("GET", f"/{names.index}?filter_path=*.mappings._meta,*.settings.index.uuid")
        if found is None or names.index not in found:
            raise self._gone(names)
        mappings = found[names.index].get("mappings")
        if restoring_of(mappings) is not None or (marker := marker_of(mappings)) is None:
            raise TargetReplaced(
                f"the index {names.index} has no marker of Lockstep's, so it is no whole build",
                "Restore it to its end, or build it anew.",
            )
        assert_answering(self._client, names.index, "it cannot be saved")
        return {
            "marker": marker,
            "uuid": found[names.index]["settings"]["index"]["uuid"],
            "records": Scanner(self._client, names.index).contents().records,
        }

    def _gone(self, names: Layout) -> TargetReplaced:
        return TargetReplaced(
            f"the index {names.index} is not there, so it cannot be saved",
            "Restore an earlier saved state (`lockstep restore`), or build it anew.",
        )

    def _spoilt(self, found: Found) -> SystemError_:
        """The error for one that was begun and did not become whole; what was left of it is removed."""
        self.forget(found.name)
        why = found.failures or found.state
        if "primary shard" in why:
            return Unreachable(
                f"{self._alias} cannot be saved, as a part of it is not there: {why}",
                "See GET /_cluster/allocation/explain; a run tries again by itself.",
            )
        return self._shelf.refusal(Answer(200, None, Reason("", why)))

    def _vanished(self, name: str) -> SystemError_:
        """The error for one that the cluster takes on and gives up. Often the place knows why."""
        try:
            self._shelf.verify()
        except Refused as error:
            return error
        return Refused(
            f"the cluster takes on the snapshot {name} of {self._alias} and gives it up without a trace, as "
            f"it does where the snapshot repository {self._shelf.place.name} is full",
            "Free space there; the log of the elected cluster manager says why.",
        )

    def _done(self, name: str) -> float | None:
        answer = self._states.status(name)
        found = (answer.value or {}).get("snapshots") or [{}]
        stats = found[0].get("stats", {})
        total = stats.get("incremental", {}).get("size_in_bytes") or 0
        done = stats.get("processed", {}).get("size_in_bytes") or 0
        return min(1.0, done / total) if total else self._progress

    def _who(self) -> str:
        """The snapshots that the cluster makes at this moment, in words."""
        found = self._client.ask(
            "GET", "/_snapshot/_status?filter_path=snapshots.snapshot,snapshots.repository"
        )
        names = [
            f"{one.get('snapshot')} in {one.get('repository')}" for one in (found or {}).get("snapshots", [])
        ]
        return ", ".join(names) or "another snapshot, a deletion or a restore"

    def saved(self) -> list[Saved]:
        return self._states.saved([one for one in self._states.all() if one.whole])

    def damage(self, name: str) -> str | None:
        """Asks every node for the repository, and for the description that each shard left."""
        with contextlib.suppress(Full):
            self._shelf.verify()
        try:
            found = self._states.get(name)
        except Unreadable as error:
            return str(error)
        if found is None:
            return f"the saved state {name} is not in the repository {self._shelf.place.name}"
        if found.running:
            return f"the saved state {name} is being made"
        if not found.whole:
            return f"the saved state {name} is not whole: {found.failures or found.state}"
        answer = self._states.status(name)
        if answer.value is None:
            return f"files of the saved state {name} are missing or broken: {answer.why}"
        return None

    def restore(self, name: str, generation: int, marker: str) -> Identity:
        """See `restore.py`."""
        found = self._states.get(name)
        if found is None or not found.whole:
            raise Refused(
                f"the saved state {name} of {self._alias} "
                + ("is not there" if found is None else f"is not whole: {found.failures or found.state}"),
                "See `lockstep snapshots` for those there are.",
            )
        work = Restore(
            self._client, self._shelf, found, self._states.path(name), Layout(self._alias, generation)
        )
        try:
            work.bring(marker, self._note)
        finally:
            self._progress = None
        identity = self._identity(generation)
        if identity is None:
            raise Unreachable(f"generation {generation} of {self._alias} is gone again", "Restore it again.")
        return identity

    def _note(self, progress: float | None) -> None:
        self._progress = progress

    def progress(self) -> float | None:
        return self._progress

    def forget(self, name: str) -> None:
        path, turn = self._states.path(name), time.monotonic() + _TURN
        patience = Patience()
        while True:
            try:
                answer = self._shelf.ask("DELETE", path)
            except Unreachable as error:
                patience.unanswered(error)
            else:
                patience.answered()
                if answer.value is not None or answer.why.kind == "snapshot_missing_exception":
                    return
                if not is_turn(answer) or time.monotonic() > turn:
                    raise self._shelf.refusal(answer)
            patience.wait()

    def close(self) -> None:
        self._client.close()
