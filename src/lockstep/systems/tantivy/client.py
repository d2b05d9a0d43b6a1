"""Generations of an index as directories, the pointer that names the current one, and opening them.

`users-g1/` is a generation: tantivy's own files, and `lockstep.json`, which says whose it is. The directory
appears under its name only when it is whole. `users.current` holds the name of the one to search.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from lockstep.errors import DeclarationError, LockstepError, Refused

_STANDING = "lockstep.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Standing(msgspec.Struct, frozen=True):
    """Which index a directory is. `fields` are the declared ones it was built with."""

    id: str
    marker: str
    fields: dict[str, str] | None = None


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
        self.directory, self.index = directory, index
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
        taken = Refused(
            f"there is something at {self.path} already",
            "Deploy another generation, or remove the directory.",
        )
        if self.path.exists():
            raise taken
        standing = Standing(uuid4().hex, marker, fields)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.directory))
            try:
                library().Index(schema, path=str(beside))
                _durable(beside / _STANDING, msgspec.json.encode(standing))
                beside.rename(self.path)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
            _sync(self.directory)
        except LockstepError:
            raise
        except OSError as error:
            raise (taken if self.path.exists() else denied(self.path, error)) from error
        self.point_first()
        return standing

    def point_first(self) -> None:
        """Makes this generation the current one where there is none."""
        if current(self.directory, self.index) is None:
            point(self.directory, self.index, self.path.name)

    def open(self) -> Any:
        """Tantivy's index. Raises Refused with the cause when its files are damaged."""
        tantivy = library()
        try:
            index = tantivy.Index.open(str(self.path))
            index.config_reader(reload_policy="manual")
        except Exception as error:
            raise damaged(self.path, error) from error
        return index


def validate(name: str) -> None:
    """Raises DeclarationError for a name that cannot be a directory's."""
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"an index cannot be named {name!r}",
            'Use letters, digits, "_", "." and "-": it names a directory.',
        )


def current(directory: Path, index: str) -> str | None:
    """The directory name of the current generation."""
    try:
        return (directory / f"{index}.current").read_text().strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise denied(directory, error) from error


def point(directory: Path, index: str, to: str) -> None:
    """Makes another generation the current one, in one step: a reader sees the old or the new."""
    beside = directory / f".{index}.current.{os.getpid()}"
    _durable(beside, to.encode())
    beside.replace(directory / f"{index}.current")
    _sync(directory)


def damaged(path: Path, error: Exception) -> Refused:
    """The index cannot be read."""
    return Refused(
        f"the index at {path} is damaged: {error}",
        "Restore it from a snapshot, or remove the directory and let Lockstep build it anew.",
    )


def denied(path: Path, error: OSError) -> Refused:
    """The file system says no."""
    return Refused(f"{path}: {error.strerror or error}", "Give this user the right to read and write there.")


def _durable(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
