"""An index as a mapping's target, as declared; and what the command line searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lockstep.errors import LockstepError, TargetReplaced
from lockstep.keys import encode
from lockstep.systems.tantivy import client, documents
from lockstep.systems.tantivy.writer import TantivyWriter
from lockstep.values import Finding, Key, Record


class TantivyTarget:
    """One index, all its generations."""

    def __init__(self, directory: Path, system: str, index: str, fields: Mapping[str, str] | None) -> None:
        client.validate(index)
        documents.validate(fields)
        self._directory, self._system, self._index = directory, system, index
        self._fields = None if fields is None else dict(fields)

    @property
    def name(self) -> str:
        return f"{self._system}/{self._index}"

    def key(self, values: Sequence[Any]) -> Key:
        return encode(values)

    def open(self, generation: int) -> TantivyWriter:
        return TantivyWriter(
            client.Place(self._directory, self._index, generation), self._system, self._fields
        )

    def current(self) -> int | None:
        """The generation that is searched."""
        name = client.current(self._directory, self._index)
        return None if name is None else int(name.rpartition("-g")[2])

    def point(self, generation: int) -> None:
        """Makes a generation the one that is searched."""
        place = client.Place(self._directory, self._index, generation)
        if place.standing() is None:
            raise TargetReplaced(f"there is no index at {place.path}", "Build that generation first.")
        client.point(self._directory, self._index, place.path.name)

    def search(self, query: str, limit: int = 10) -> list[tuple[float, str, Record]]:
        """The best matches in the current generation: score, key as text, record."""
        generation = self.current()
        if generation is None:
            raise TargetReplaced(
                f"there is no index {self._index} in {self._directory}", "Run the pipeline that fills it."
            )
        writer = self.open(generation)
        try:
            return writer.search(query, limit)
        finally:
            writer.close()

    def check(self) -> list[Finding]:
        try:
            client.library()
            generation = self.current()
            if generation is None:
                return []
            standing = client.Place(self._directory, self._index, generation).standing()
            self.open(generation).contents()
        except LockstepError as error:
            return [Finding(self.name, str(error), error.remedy)]
        if standing is not None and standing.fields != self._fields:
            problem = "the index was built with other `fields`; only records written from now on have these"
            return [Finding(self.name, problem, "Deploy a new generation.", blocks=False)]
        return []
