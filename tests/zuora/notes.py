"""Notes in memory, for a writer without an engine."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.ports.notes import Amendment, Condition, Note
from lockstep.values import Key


class MemoryNotes:
    """`ports.notes.Notes`. `written`: each commit, so that a test can end a process after any of them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, Key], bytes] = {}
        self.commits = 0

    def read(self, kind: str, keys: Sequence[Key]) -> dict[Key, bytes]:
        return {key: self.kept[kind, key] for key in keys if (kind, key) in self.kept}

    def scan(self, kind: str, after: Key | None, limit: int) -> list[tuple[Key, bytes]]:
        found = sorted((key, body) for (of, key), body in list(self.kept.items()) if of == kind)
        return [one for one in found if after is None or one[0] > after][:limit]

    def write(self, notes: Sequence[Note], amended: Sequence[Amendment] = ()) -> None:
        self.commits += 1
        holding = [one for one in amended if one.where is None or self._holds(one.where)]
        self._keep(notes)
        for one in holding:
            self._keep([Note(one.kind, one.key, one.made(self.kept.get((one.kind, one.key))))])

    def _holds(self, where: Condition) -> bool:
        return where.holds(self.kept.get((where.kind, where.key)))

    def _keep(self, notes: Sequence[Note]) -> None:
        for one in notes:
            if one.body is None:
                self.kept.pop((one.kind, one.key), None)
            else:
                self.kept[one.kind, one.key] = one.body
