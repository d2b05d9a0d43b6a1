"""Files that are whole or not there, whatever is killed or pulled while they are made."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lockstep.errors import Refused

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
_AT_ONCE = 1 << 20

Moved = Callable[[int], None]
"""Told of bytes that were read, for progress."""


class Kept(NamedTuple):
    """What a file must be: its size in bytes, and the digest of its content as hexadecimal text."""

    size: int
    digest: str


def write(path: Path, content: bytes) -> None:
    """A file that is on the disk when this returns; its name is not, until the directory is synced."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Brings a file, or the names in a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def measured(path: Path, moved: Moved) -> Kept:
    """The size and digest of a file as it is."""
    size, digest = 0, hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_AT_ONCE):
            digest.update(chunk)
            size += len(chunk)
            moved(len(chunk))
    return Kept(size, digest.hexdigest())


def copy(source: Path, to: Path, moved: Moved) -> Kept:
    """Copies a file durably."""
    size, digest = 0, hashlib.blake2b(digest_size=16)
    with source.open("rb") as file, to.open("xb") as copied:
        while chunk := file.read(_AT_ONCE):
            copied.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            moved(len(chunk))
        copied.flush()
        os.fsync(copied.fileno())
    return Kept(size, digest.hexdigest())


def linked(source: Path, to: Path) -> bool:
    """Gives a file that nobody changes in place a second name; False where the file system cannot."""
    try:
        os.link(source, to)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


@contextlib.contextmanager
def staged(beside: Path, *, wait: bool = True) -> Iterator[bool]:
    """An empty directory that this process alone fills, and then renames into place.

    Whoever comes second waits for the first; without `wait` it is False that it is ours. What a killed
    process has left in it is removed; so is everything else, unless it was renamed.
    """
    handle = _locked(beside, wait)
    if handle is None:
        yield False
        return
    try:
        _empty(beside)
        yield True
    finally:
        if _leads_to(beside, handle):  # not renamed: another process cannot have taken it
            shutil.rmtree(beside, ignore_errors=True)
        os.close(handle)


def _locked(beside: Path, wait: bool) -> int | None:
    while True:
        with contextlib.suppress(FileExistsError):
            beside.mkdir()
        try:
            handle = os.open(beside, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # whoever had it has removed it
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        if _leads_to(beside, handle):
            return handle
        os.close(handle)  # it was renamed while we waited


def _leads_to(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _empty(directory: Path) -> None:
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


@contextlib.contextmanager
def in_place(directory: Path) -> Iterator[None]:
    """Says what the file system will not do as `Refused`, with the mend."""
    try:
        yield
    except OSError as error:
        raise refused(directory, error) from error


def refused(directory: Path, error: OSError) -> Refused:
    """What an error of the file system means."""
    said = f"{error.filename or directory}: {error.strerror or error}"
    if error.errno in _NO_ROOM:
        return Refused(
            f"there is no room for it: {said}",
            f"Free space at {directory}, or declare a roomier directory. What was half-made is removed.",
        )
    if error.errno in _NO_RIGHT:
        return Refused(said, f"Give this user the right to read and write in {directory}.")
    return Refused(said, f"See that {directory} is a directory that this user can read and write.")
