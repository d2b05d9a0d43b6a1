"""An index as a mapping's target, as declared; and what the command line searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lockstep.errors import LockstepError, Refused, TargetReplaced
from lockstep.forms.keys import encode
from lockstep.systems.saved.archive import Archive
from lockstep.systems.tantivy import client, documents
from lockstep.systems.tantivy.repository import TantivyRepository
from lockstep.systems.tantivy.writer import TantivyWriter
from lockstep.values import Finding, Key, Record


class TantivyTarget:
    """One index, all its generations. `snapshots`: the directory of saved states; `older`: where they were
    saved before, within that of the index."""

    def __init__(
        self,
        directory: Path,
        system: str,
        index: str,
        fields: Mapping[str, str] | None,
        snapshots: Path,
        older: Path | None,
    ) -> None:
        client.validate(index)
        documents.validate(fields)
        self._directory, self._system, self._index = directory, system, index
        self._fields = None if fields is None else dict(fields)
        self._snapshots, self._older = snapshots, older

    @property
    def name(self) -> str:
        return f"{self._system}/{self._index}"

    def key(self, values: Sequence[Any]) -> Key:
        return encode(values)

    def open(self, generation: int) -> TantivyWriter:
        return TantivyWriter(self._place(generation), self._system, self._fields)

    def searched(self) -> int | None:
        """The generation that readers see."""
        pointed = client.current(self._directory, self._index)
        if pointed is None or self._place(pointed).standing() is None:
            return None
        return pointed

    def assert_pointable(self, generation: int) -> None:
        """Nothing of others can be what is searched."""

    def point(self, generation: int) -> None:
        """Makes a generation the one that is searched."""
        place = self._place(generation)
        if place.standing() is None:
            raise TargetReplaced(f"there is no index at {place.path}", "Build that generation first.")
        client.point(self._directory, self._index, place.path.name)

    def repository(self) -> TantivyRepository:
        return TantivyRepository(
            self._archive(self._snapshots),
            self._system,
            self._place,
            self.searched,
            None if self._older is None else self._archive(self._older),
        )

    def _archive(self, place: Path) -> Archive:
        return Archive(place / self._index, self.name)

    def _saving(self) -> list[Finding]:
        found = self._archive(self._snapshots).check(self.name)
        if self._older is None or not (within := self._archive(self._older).saved()):
            return found
        problem = (
            f"{len(within)} of its saved states lie in {self._older}: what wipes the index wipes them too"
        )
        mend = (
            f"`lockstep snapshot` saves beside it, in {self._snapshots}; those within can still be restored."
        )
        return [*found, Finding(self.name, problem, mend, blocks=False)]

    def remove(self, generation: int, marker: str) -> None:
        """Removes a generation that nobody searches."""
        place = self._place(generation)
        place.clear()
        standing = place.standing()
        if standing is None:
            return
        if standing.marker != marker:
            raise Refused(
                f"the index at {place.path} has another marker: {standing.marker}",
                "It is another state store's: remove the directory by hand if nobody needs it.",
            )
        if self.searched() == generation:
            raise Refused(
                f"the index at {place.path} is the one that is searched", "Point at another generation first."
            )
        place.take_away()

    def search(self, query: str, limit: int = 10) -> list[tuple[float, str, Record]]:
        """The best matches in the generation that is searched: score, key as text, record."""
        generation = self.searched()
        while generation is not None:
            with closing(self.open(generation)) as writer:
                try:
                    return writer.search(query, limit)
                except LockstepError:
                    seen, generation = generation, self.searched()
                    if generation == seen:  # else it was removed once another was pointed at
                        raise
        raise TargetReplaced(
            f"there is no index {self._index} in {self._directory}", "Run the pipeline that fills it."
        )

    def _place(self, generation: int) -> client.Place:
        return client.Place(self._directory, self._index, generation)

    def check(self) -> list[Finding]:
        try:
            client.library()
            generation = client.current(self._directory, self._index)
            saving = self._saving()
            if generation is None:
                first = self._place(1)
                if first.path.exists() and first.standing() is None:
                    raise first.taken()
                return saving
            standing = self._place(generation).standing()
            self.open(generation).contents()
        except LockstepError as error:
            return [Finding(self.name, str(error), error.remedy)]
        if standing is not None and standing.fields != self._fields:
            problem = "the index was built with other `fields`; only records written from now on have these"
            return [Finding(self.name, problem, "Deploy a new generation.", blocks=False), *saving]
        return saving
