"""Saved states of an index, and builds made from them.

A commit of the index is one small file that names segments, each a few files which nobody changes once they
are written. A saved state gives these files a second name where the file system can, so it costs next to
nothing and what a later merge removes stays; else it copies what no saved state before has.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import msgspec

from lockstep.errors import Refused, TargetReplaced
from lockstep.systems.saved.archive import Archive, Filled
from lockstep.systems.saved.durable import Kept, copy, in_place, linked, measured, staged, sync, write
from lockstep.systems.saved.progress import Progress
from lockstep.systems.tantivy.client import Place, Standing, damaged, opened
from lockstep.systems.tantivy.writer import TantivyWriter, contents_of
from lockstep.values import Contents, Identity, Saved

_COMMIT = "meta.json"
_MANAGED = ".managed.json"
_TRIES = 20
_SEGMENTS_FILE = re.compile(r"([0-9a-f]{32})(?:\.(\d+))?\.(?:[a-z]+)")


class _Deletes(msgspec.Struct):
    opstamp: int


class _Segment(msgspec.Struct):
    segment_id: str
    deletes: _Deletes | None = None


class _Commit(msgspec.Struct):
    segments: list[_Segment]


class TantivyRepository:
    """The `Repository` of an index. `archive` is where its states are saved, `older` where they once were.
    `searched` says which generation is."""

    def __init__(
        self,
        archive: Archive,
        system: str,
        place: Callable[[int], Place],
        searched: Callable[[], int | None],
        older: Archive | None,
    ) -> None:
        self._archive, self._system, self._place, self._searched = archive, system, place, searched
        self._older = older
        self._progress = Progress()

    def save(self, generation: int, name: str) -> Saved:
        place = self._place(generation)
        return self._of(name).save(name, generation, lambda to: self._fill(place, to))

    def saved(self) -> list[Saved]:
        older = [] if self._older is None else self._older.saved()
        return sorted([*older, *self._archive.saved()], key=lambda one: one.at)

    def damage(self, name: str) -> str | None:
        archive = self._of(name)
        self._progress.begin(archive.size(name))
        return archive.damage(name, self._progress.moved)

    def restore(self, name: str, generation: int, marker: str) -> Identity:
        place, archive = self._place(generation), self._of(name)
        self._progress.begin(2 * (archive.size(name) or 0))  # read to be checked, then to be copied
        self._refuse_another(place, marker)
        manifest = archive.checked(name, self._progress.moved)
        standing = Standing(uuid4().hex, marker, manifest.details["fields"], name)
        with in_place(place.directory):
            place.directory.mkdir(parents=True, exist_ok=True)
            beside = place.beside("restored")
            with staged(beside):
                stands = self._refuse_another(place, marker)
                if stands is None or stands.restored != name:
                    for file, kept in manifest.files.items():
                        self._bring_back(archive.path(name) / file, beside / file, kept)
                    self._contents(beside)  # whatever cannot be opened is not restored
                    if stands is not None:
                        self._make_way(place)
                    elif place.path.exists():
                        raise Refused(f"{place.path} is there and is no index of Lockstep's", "Move it away.")
                    place.put(beside, standing)
        made = TantivyWriter(place, self._system, None).identity()
        assert made is not None
        return made

    def progress(self) -> float | None:
        return self._progress.share()

    def forget(self, name: str) -> None:
        self._of(name).forget(name)

    def close(self) -> None:
        """Nothing is open."""

    def _of(self, name: str) -> Archive:
        """Where a saved state lies, or shall."""
        older = self._older
        return older if older is not None and older.path(name).exists() else self._archive

    def _fill(self, place: Place, to: Path) -> Filled:
        """The files of the newest commit. They are first given a second name beside the index, so that a
        merge does not take them away while they are copied."""
        standing = place.standing()
        if standing is None:
            raise TargetReplaced(
                f"there is no index at {place.path}", "Bring it back, or save another generation."
            )
        earlier = self._earlier()
        held = place.beside("saving")
        with staged(held):
            source, raw, names = self._held(place, held)
            self._progress.begin(sum((source / name).stat().st_size for name in names))
            files = {name: self._keep(source / name, to / name, earlier.get(name)) for name in names}
        for name, content in ((_COMMIT, raw), (_MANAGED, msgspec.json.encode([*names, _COMMIT]))):
            write(to / name, content)
            files[name] = measured(to / name, _unseen)
        holds = self._contents(to)
        return Filled(standing.marker, holds.records, holds.highest, files, {"fields": standing.fields})

    def _held(self, place: Place, held: Path) -> tuple[Path, bytes, list[str]]:
        """Where the segments' files of the newest commit stay, the commit, and their names."""
        for _ in range(_TRIES):
            try:
                raw = (place.path / _COMMIT).read_bytes()
                names = sorted(_files_of(raw, os.listdir(place.path)))
                if (place.path / _COMMIT).read_bytes() != raw:
                    continue  # what it names may have been removed before it was listed
                if not all(linked(place.path / name, held / name) for name in names):
                    return place.path, raw, names
            except FileNotFoundError:
                for left in held.iterdir():
                    left.unlink()
                continue
            except msgspec.MsgspecError as error:
                raise damaged(place.path, error) from error
            return held, raw, names
        raise Refused(
            f"the index at {place.path} changes, or lacks files, faster than it can be saved",
            f"Save again when fewer changes come; if {place.path / _COMMIT} is gone, the index is damaged.",
        )

    def _keep(self, source: Path, to: Path, earlier: tuple[Path, Kept] | None) -> Kept:
        if linked(source, to):
            with contextlib.suppress(FileNotFoundError):
                if earlier is not None and to.samefile(earlier[0]):  # was read when that one was saved
                    self._progress.moved(earlier[1].size)
                    return earlier[1]
            sync(to)
            return measured(to, self._progress.moved)
        if earlier is not None:
            before, kept = earlier
            with contextlib.suppress(FileNotFoundError):
                # Only what is still as it was, so that damage is not handed on.
                same = measured(before, _unseen) == kept == measured(source, _unseen)
                if same and linked(before, to):
                    self._progress.moved(kept.size)
                    return kept
        return copy(source, to, self._progress.moved)

    def _earlier(self) -> dict[str, tuple[Path, Kept]]:
        """The segments' files in saved states, by their names, which no two contents share."""
        return {
            file: (archive.path(manifest.name) / file, kept)
            for archive in (self._older, self._archive)
            if archive is not None
            for manifest in archive.manifests()
            for file, kept in manifest.files.items()
            if _SEGMENTS_FILE.fullmatch(file)
        }

    def _contents(self, directory: Path) -> Contents:
        """What the files hold: opened as an index, so that whatever is saved can be opened."""
        index = opened(directory)
        try:
            index.reload()
            return contents_of(index.searcher())
        except ValueError as error:
            raise damaged(directory, error) from error
        finally:
            for lock in directory.glob("*.lock"):
                lock.unlink()

    def _bring_back(self, saved: Path, to: Path, kept: Kept) -> None:
        shared = bool(_SEGMENTS_FILE.fullmatch(to.name)) and linked(saved, to)
        found = measured(to, self._progress.moved) if shared else copy(saved, to, self._progress.moved)
        if found != kept:
            raise Refused(f"{saved} is damaged: the checksum differs", "Restore an older saved state.")

    def _refuse_another(self, place: Place, marker: str) -> Standing | None:
        standing = place.standing()
        if standing is not None and standing.marker != marker:
            raise Refused(
                f"there is an index at {place.path} already (marker {standing.marker})",
                "Restore into another generation, or remove that directory if nobody needs it.",
            )
        return standing

    def _make_way(self, place: Place) -> None:
        """Another saved state was restored under this marker before: this one takes its place."""
        if self._searched() == place.generation:
            raise Refused(
                f"the index at {place.path} is the one that is searched", "Restore into another generation."
            )
        place.take_away()


def _files_of(commit: bytes, there: list[str]) -> Iterator[str]:
    """The files of the segments that a commit names. Of those of deletions only the newest counts."""
    segments = {
        segment.segment_id.replace("-", ""): None if segment.deletes is None else str(segment.deletes.opstamp)
        for segment in msgspec.json.decode(commit, type=_Commit).segments
    }
    for name in there:
        found = _SEGMENTS_FILE.fullmatch(name)
        if found and found[1] in segments and found[2] in (None, segments[found[1]]):
            yield name


def _unseen(_: int) -> None:
    """Small files are no progress."""
