"""What a saved state says of itself: written last, so that a directory which has one is whole.

The first line is the digest of the rest, so that no flipped bit in it goes unseen.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from lockstep.systems.saved.durable import Kept, Moved, measured, write

NAME = "manifest.json"
FORMAT = 1


class Manifest(msgspec.Struct, frozen=True):
    """`marker` and `generation` are those of the build that was saved, `highest` the highest version in it,
    `details` what only its connector understands."""

    format: int
    target: str
    name: str
    marker: str
    generation: int
    records: int | None
    highest: int
    at: float
    files: dict[str, Kept]
    details: dict[str, Any]

    @property
    def size(self) -> int:
        return sum(kept.size for kept in self.files.values())


class Unreadable(Exception):
    """Why a manifest says nothing, in words."""


def leave(directory: Path, manifest: Manifest) -> None:
    """Writes the manifest, durably."""
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write(directory / NAME, _digest(body) + b"\n" + body)


def read(directory: Path) -> Manifest:
    """Raises Unreadable."""
    try:
        digest, _, body = (directory / NAME).read_bytes().partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable("its manifest is gone") from None
    except OSError as error:
        raise Unreadable(f"its manifest cannot be read: {error.strerror}") from error
    if digest != _digest(body):
        raise Unreadable("its manifest is damaged: the checksum differs")
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"its manifest cannot be understood: {error}") from error
    if manifest.format != FORMAT:
        raise Unreadable(f"it has format {manifest.format}, and this Lockstep reads {FORMAT}")
    return manifest


def damage(directory: Path, manifest: Manifest, moved: Moved) -> str | None:
    """The first thing that is wrong with the files."""
    for name, kept in manifest.files.items():
        try:
            found = measured(directory / name, moved)
        except FileNotFoundError:
            return f"its file {name} is gone"
        except OSError as error:
            return f"its file {name} cannot be read: {error.strerror}"
        if found.size != kept.size:
            return f"its file {name} has {found.size} bytes and had {kept.size}"
        if found.digest != kept.digest:
            return f"its file {name} is damaged: the checksum differs"
    return None


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()
