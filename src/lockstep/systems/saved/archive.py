"""Where the saved states of one target lie: a directory for each, in a directory of the target's.

    DIR/users/lockstep.json          whose they are
    DIR/users/20261128-0900/         a saved state: files, and manifest.json, written last
    DIR/users/.20261128-1500.partial one in the making, or what a killed one left

A saved state appears under its name by one rename, and goes away by one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from lockstep.errors import Refused
from lockstep.systems.saved import manifest as manifests
from lockstep.systems.saved.durable import Kept, Moved, in_place, staged, sync, write
from lockstep.systems.saved.manifest import FORMAT, Manifest, Unreadable
from lockstep.values import Finding, Saved, Version

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_CLAIM = "lockstep.json"


class _Claim(msgspec.Struct, frozen=True):
    target: str


class Filled(NamedTuple):
    """What a connector has put into a directory, and which build it was."""

    marker: str
    records: int | None
    highest: Version
    files: dict[str, Kept]
    details: dict[str, Any]


class Archive:
    """The saved states of one target. `place` is a directory of its own; `target` the target's name."""

    def __init__(self, place: Path, target: str) -> None:
        self.place, self._target = place, target

    def save(self, name: str, generation: int, fill: Callable[[Path], Filled]) -> Saved:
        """Lets `fill` put files, durable, into an empty directory, and makes it a saved state. What is whole
        under that name is only returned."""
        with in_place(self.place):
            self._claim()
            self._sweep(name)
            with staged(self._partial(name)):
                made = self._whole(name)
                if made is None:
                    made = self._filled(name, generation, fill)
        return _saved(made)

    def saved(self) -> list[Saved]:
        """What is whole, oldest first."""
        with in_place(self.place):
            return [_saved(found) for found in self.manifests()]

    def manifests(self) -> list[Manifest]:
        """What whole saved states say of themselves, oldest first."""
        if not self._claimed():
            return []
        found = []
        for name in os.listdir(self.place):
            if _NAME.fullmatch(name):
                with contextlib.suppress(Unreadable):
                    found.append(manifests.read(self.place / name))
        return sorted(found, key=lambda one: (one.at, one.name))

    def damage(self, name: str, moved: Moved) -> str | None:
        """What is wrong with a saved state, in words."""
        with in_place(self.place):
            path = self.path(name)
            if not self._claimed() or not path.exists():
                return f"there is no saved state {name} in {self.place}"
            try:
                manifest = manifests.read(path)
            except Unreadable as error:
                return str(error)
            return manifests.damage(path, manifest, moved)

    def checked(self, name: str, moved: Moved) -> Manifest:
        """What an undamaged saved state says of itself. Raises Refused with what is wrong with it."""
        wrong = self.damage(name, moved)
        if wrong is not None:
            raise Refused(
                f"saved state {name} cannot be restored: {wrong}",
                "Restore an older one (`lockstep snapshots`); without one, `lockstep backfill MAPPING "
                "--rebuild` builds the target anew from its source.",
            )
        return manifests.read(self.path(name))

    def size(self, name: str) -> int | None:
        """Bytes of a saved state; None where nobody knows."""
        try:
            return manifests.read(self.path(name)).size
        except Unreadable:
            return None

    def forget(self, name: str) -> None:
        """Removes a saved state, whole or half-made."""
        with in_place(self.place):
            path, partial = self.path(name), self._partial(name)
            if not self._claimed():
                return
            with staged(partial), contextlib.suppress(FileNotFoundError):
                path.rename(partial / name)  # goes away at once; its files after it
                sync(self.place)

    def path(self, name: str) -> Path:
        """The directory of a saved state."""
        if not _NAME.fullmatch(name):
            raise Refused(
                f"a saved state cannot be named {name!r}", "Names are of lower-case letters, digits and -."
            )
        return self.place / name

    def _partial(self, name: str) -> Path:
        return self.place / f".{self.path(name).name}.partial"

    def _whole(self, name: str) -> Manifest | None:
        path = self.path(name)
        if not path.exists():
            return None
        try:
            return manifests.read(path)
        except Unreadable as error:
            raise Refused(
                f"{path} is there and is no whole saved state: {error}",
                "Move it away, or save under another name.",
            ) from error

    def _filled(self, name: str, generation: int, fill: Callable[[Path], Filled]) -> Manifest:
        partial = self._partial(name)
        filled = fill(partial)
        made = Manifest(
            FORMAT,
            self._target,
            name,
            filled.marker,
            generation,
            filled.records,
            int(filled.highest),
            time.time(),
            filled.files,
            filled.details,
        )
        manifests.leave(partial, made)
        sync(partial)
        partial.rename(self.path(name))
        sync(self.place)
        return made

    def check(self, target: str) -> list[Finding]:
        """What would keep a state from being saved here."""
        try:
            with in_place(self.place):
                if not self._claimed():
                    self._refuse_others()
                stands = next(one for one in (self.place, *self.place.absolute().parents) if one.exists())
                as_us = os.access in os.supports_effective_ids
                may = os.access(stands, os.W_OK | os.X_OK, effective_ids=as_us)
                if not may or not stands.is_dir():
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(stands))
        except Refused as error:
            return [Finding(target, f"its state cannot be saved: {error}", error.remedy, blocks=False)]
        return []

    def _refuse_others(self) -> None:
        """Raises Refused where somebody else's files are."""
        there = os.listdir(self.place) if self.place.exists() else []
        others = [name for name in there if not name.startswith(".")]
        if others and _CLAIM not in others:
            raise Refused(
                f"{self.place} holds files that are not Lockstep's: {others[0]}",
                "Declare another directory for saved states, or move these away. Nothing was touched.",
            )

    def _claim(self) -> None:
        """Makes the directory ours, where nobody else's files are."""
        if self._claimed():
            return
        self._refuse_others()
        self.place.mkdir(parents=True, exist_ok=True)
        beside = self.place / f".{_CLAIM}.{uuid4().hex}"
        write(beside, self._said().encode())
        beside.replace(self.place / _CLAIM)
        sync(self.place)
        sync(self.place.parent)

    def _claimed(self) -> bool:
        """Whether the directory is ours; it may not be there. Raises Refused where it is another target's."""
        path = self.place / _CLAIM
        try:
            claim = msgspec.json.decode(path.read_bytes(), type=_Claim)
        except FileNotFoundError:
            return False
        except msgspec.MsgspecError as error:
            raise Refused(f"{path} is damaged: {error}", f"Write this into {path}: {self._said()}") from error
        if claim.target != self._target:
            raise Refused(
                f"{self.place} holds saved states of {claim.target}, not of {self._target}",
                "Declare another directory; or, if that is the same target by another name, write this "
                f"into {path}: {self._said()}",
            )
        return True

    def _said(self) -> str:
        """The claim of the directory."""
        return msgspec.json.encode(_Claim(self._target)).decode()

    def _sweep(self, but: str) -> None:
        """Removes what killed processes left, so that it does not fill the disk."""
        for left in self.place.glob(".*.partial"):
            if left != self._partial(but):
                with contextlib.suppress(OSError), staged(left, wait=False):
                    pass


def _saved(manifest: Manifest) -> Saved:
    return Saved(manifest.name, manifest.records, manifest.size, manifest.at)
