"""Generations of an index as directories, the pointer that names the current one, and opening them.

`users-g1/` is a generation: tantivy's own files, and `lockstep.json`, which says whose it is. The directory
appears under its name only when it is whole. `users.current` holds the name of the one to search.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from lockstep.errors import DeclarationError, LockstepError, Refused
from lockstep.systems.saved.durable import staged, sync, write

_STANDING = "lockstep.json"
_SYSTEM_SAYS = re.compile(r'message: "([^"]+)"')
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Standing(msgspec.Struct, frozen=True):
    """Which index a directory is. `fields` are the declared ones it was built with, `restored` the saved
    state that it was made from."""

    id: str
    marker: str
    fields: dict[str, str] | None = None
    restored: str | None = None


def library() -> Any:
    """The tantivy module; it is an extra."""
    try:
        import tantivy
    except ImportError as error:
        raise Refused(
            "the package tantivy is not installed", 'Install it: pip install "lockstep-sync[tantivy]".'
        ) from error
    return tantivy


class Place:
    """Where one generation of an index lives."""

    def __init__(self, directory: Path, index: str, generation: int) -> None:
        self.directory, self.index, self.generation = directory, index, generation
        self.path = directory / f"{index}-g{generation}"

    def standing(self) -> Standing | None:
        """Whose directory it is; None when it is not there. Cheap: asked before every batch."""
        try:
            raw = (self.path / _STANDING).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise denied(self.path, error) from error
        try:
            return msgspec.json.decode(raw, type=Standing)
        except msgspec.MsgspecError as error:
            raise damaged(self.path, error) from error

    def create(self, schema: Any, marker: str, fields: dict[str, str] | None) -> Standing:
        """Builds the directory beside and renames it into place. Refuses where something is."""
        taken = self.taken()
        if self.path.exists():
            raise taken
        standing = Standing(uuid4().hex, marker, fields)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.directory))
            try:
                library().Index(schema, path=str(beside))
                self.put(beside, standing)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
        except LockstepError:
            raise
        except OSError as error:
            raise (taken if self.path.exists() else denied(self.path, error)) from error
        self.point_first()
        return standing

    def taken(self) -> Refused:
        """The error where something stands there already."""
        if self.standing() is not None:
            return Refused(
                f"there is a build of Lockstep's at {self.path} already",
                "Run with the state it belongs to, or deploy another generation; if nobody needs it, remove "
                "the directory.",
            )
        return Refused(
            f"there is something at {self.path} already, and it is not Lockstep's",
            "Give the target a directory or name of its own; if nobody needs what is there, remove it.",
        )

    def put(self, beside: Path, standing: Standing) -> None:
        """Makes a directory with the index's files this generation, durably, in one step."""
        write(beside / _STANDING, msgspec.json.encode(standing))
        sync(beside)
        beside.rename(self.path)
        sync(self.directory)

    def beside(self, purpose: str) -> Path:
        """A name in the same directory that is no index's."""
        return self.directory / f".{self.path.name}.{purpose}"

    def point_first(self) -> None:
        """Makes this generation the current one where there is none, unless somebody is to do so later: it is
        a rehearsal's, or was restored and lacks what changed since."""
        standing = self.standing() if self.generation else None
        if standing is None or standing.restored is not None:
            return
        if current(self.directory, self.index) is None:
            point(self.directory, self.index, self.path.name)

    def take_away(self) -> None:
        """Removes the directory: it is gone at once, its files after it."""
        try:
            with staged(self.beside("removed")):
                with suppress(FileNotFoundError):
                    self.path.rename(self.beside("removed") / self.path.name)
                sync(self.directory)
        except OSError as error:
            raise denied(self.path, error) from error

    def clear(self) -> None:
        """Removes what a killed restore of this generation left beside it."""
        left = self.beside("restored")
        try:
            if left.exists():
                with staged(left, wait=False):
                    pass
        except OSError as error:
            raise denied(self.path, error) from error

    def open(self) -> Any:
        """Tantivy's index."""
        return opened(self.path)


def opened(path: Path) -> Any:
    """Tantivy's index in a directory. Raises Refused with the cause when its files are damaged."""
    tantivy = library()
    try:
        index = tantivy.Index.open(str(path))
        index.config_reader(reload_policy="manual")
    except Exception as error:
        raise damaged(path, error) from error
    return index


def validate(name: str) -> None:
    """Raises DeclarationError for a name that cannot be a directory's."""
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"an index cannot be named {name!r}",
            'Use letters, digits, "_", "." and "-": it names a directory.',
        )


def current(directory: Path, index: str) -> int | None:
    """The generation that the pointer names, there or not."""
    path = directory / f"{index}.current"
    try:
        name = path.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise denied(directory, error) from error
    of, _, number = name.rpartition("-g")
    if not name:
        return None
    if of != index or not number.isdecimal():
        raise Refused(
            f"{path} does not name a generation of the index: {name!r}",
            f"Write the name of the directory to search into it, as {index}-g1.",
        )
    return int(number)


def point(directory: Path, index: str, to: str) -> None:
    """Makes another generation the current one, in one step: a reader sees the old or the new."""
    beside = directory / f".{index}.current.{os.getpid()}"
    write(beside, to.encode())
    beside.replace(directory / f"{index}.current")
    sync(directory)


def damaged(path: Path, error: Exception) -> Refused:
    """The index cannot be read."""
    return Refused(
        f"the index at {path} is damaged: {why(error)}",
        "Restore it from a snapshot, or remove the directory and let Lockstep build it anew.",
    )


def why(error: Exception) -> str:
    """What the library says, without the insides of its error: "Failed to open file: No space left"."""
    said = str(error)
    found = _SYSTEM_SAYS.search(said)
    return said if found is None else f"{said.partition(': ')[0]}: {found[1]}"


def denied(path: Path, error: OSError) -> Refused:
    """The file system says no."""
    return Refused(f"{path}: {error.strerror or error}", "Give this user the right to read and write there.")
