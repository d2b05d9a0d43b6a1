"""The saved states of one index in a repository: how they are named there, and what is said of them.

`lockstep-users.20260703-101500-7` is the saved state `20260703-101500-7` of `users`. Such names have no
dot, so it is known where the index's name ends. What does not begin so is somebody else's and never
looked at, though the repository may be shared.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from lockstep.errors import Refused
from lockstep.systems.opensearch.layout import generation_of
from lockstep.systems.opensearch.saved.places import Answer, Shelf
from lockstep.values import Saved

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
_GONE = frozenset({"snapshot_missing_exception"})
_SIZES_AT_ONCE = 20


class Found(NamedTuple):
    """A saved state as the cluster knows it. `id` is the cluster's own; `of` the
    one index in it; `mark` what Lockstep wrote beside."""

    name: str
    id: str
    of: str
    state: str
    at: float
    failures: str
    mark: dict[str, Any]

    @property
    def whole(self) -> bool:
        return self.state == "SUCCESS" and not self.failures

    @property
    def running(self) -> bool:
        return self.state == "IN_PROGRESS"

    @property
    def records(self) -> int | None:
        found = self.mark.get("records")
        return found if isinstance(found, int) else None


class SavedStates:
    """Those of one alias."""

    def __init__(self, shelf: Shelf, alias: str) -> None:
        self._shelf = shelf
        self._alias = alias
        self._prefix = f"lockstep-{alias}."

    def path(self, name: str) -> str:
        """Where one is below the repository. A wildcard or list would be more than one, so it is no name."""
        if not _NAME.fullmatch(name):
            raise Refused(
                f"{name!r} is no name of a saved state", "See `lockstep snapshots` for those there are."
            )
        return f"/{self._prefix}{name}"

    def get(self, name: str) -> Found | None:
        """One, whole or not; None where there is none. Raises Unreadable where what lies there is broken."""
        answer = self._shelf.ask("GET", self.path(name))
        if answer.value is None:
            if answer.why.kind in _GONE:
                return None
            raise self._unreadable(name, answer)
        found = answer.value.get("snapshots") or []
        return self._found(found[0]) if found else None

    def all(self) -> list[Found]:
        """Every readable one of an index of this alias, oldest first."""
        answer = self._shelf.ask("GET", f"/{self._prefix}*?ignore_unavailable=true")
        if answer.value is None:
            if answer.why.kind in _GONE:
                return []
            raise self._shelf.refusal(answer)
        found = [self._found(one) for one in answer.value.get("snapshots", [])]
        mine = [one for one in found if generation_of(self._alias, one.of) is not None]
        return sorted(mine, key=lambda one: (one.at, one.name))

    def sizes(self, names: list[str]) -> dict[str, int]:
        """How many bytes the files of each have, those shared with others too; unknown ones are left out."""
        sizes: dict[str, int] = {}
        for start in range(0, len(names), _SIZES_AT_ONCE):
            some = ",".join(f"{self._prefix}{name}" for name in names[start : start + _SIZES_AT_ONCE])
            answer = self._shelf.ask("GET", f"/{some}/_status?ignore_unavailable=true")
            for one in (answer.value or {}).get("snapshots", []):
                size = one.get("stats", {}).get("total", {}).get("size_in_bytes")
                if isinstance(size, int):
                    sizes[str(one.get("snapshot", "")).removeprefix(self._prefix)] = size
        return sizes

    def status(self, name: str) -> Answer:
        """What every shard of one says, read from its files."""
        return self._shelf.ask("GET", f"{self.path(name)}/_status")

    def saved(self, found: list[Found]) -> list[Saved]:
        """As the port lists them."""
        sizes = self.sizes([one.name for one in found])
        return [Saved(one.name, one.records, sizes.get(one.name), one.at) for one in found]

    def _found(self, said: dict[str, Any]) -> Found:
        indices = said.get("indices") or [""]
        failed = said.get("shards", {}).get("failed", 0)
        why = "; ".join(sorted({str(one.get("reason", "")) for one in said.get("failures") or []}))
        mark = (said.get("metadata") or {}).get("lockstep")
        return Found(
            name=str(said.get("snapshot", "")).removeprefix(self._prefix),
            id=str(said.get("uuid", "")),
            of=indices[0] if len(indices) == 1 else "",
            state=str(said.get("state", "")),
            at=(said.get("end_time_in_millis") or said.get("start_time_in_millis") or 0) / 1000,
            failures=str(said.get("reason") or why or (f"{failed} shards failed" if failed else "")),
            mark=mark if isinstance(mark, dict) else {},
        )

    def _unreadable(self, name: str, answer: Answer) -> Unreadable:
        return Unreadable(
            f"the saved state {name} cannot be read: {answer.why}",
            f"Take another one; remove this one: DELETE {self._shelf.place.path}{self.path(name)}",
        )


class Unreadable(Refused):
    """What describes a saved state is broken."""
