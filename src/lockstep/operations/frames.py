"""What a deep check and the processes that look for it say to each other, and how it is framed: four bytes of
length, then MessagePack."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import msgspec

from lockstep import errors
from lockstep.agreement.looking import Looked
from lockstep.declaration.mapping import Mapping
from lockstep.errors import LockstepError
from lockstep.guard.door import Door
from lockstep.values import Key

_LENGTH = 4


class Task(msgspec.Struct, frozen=True):
    """What to look at, once, as the first frame: a mapping of a pipeline file on one build of its target.

    file        of the pipeline, and `state`, the place of the state store, as the system writes them
    version     of the mapping, as who asks has it; `leads`: from where to where, likewise
    consumer    in the state store; `generation` of the target
    cuts        between spans of source keys: see `Looked`
    level       from which on lines of the log are wanted
    arguments   of the command line, which a pipeline file may read
    """

    file: bytes
    state: bytes
    mapping: str
    version: str
    leads: str
    consumer: int
    generation: int
    cuts: tuple[Key, ...]
    level: int
    arguments: tuple[bytes, ...]


def leads(mapping: Mapping, door: Door) -> str:
    """From where a mapping leads to where, in one line. A file may go elsewhere when it is imported, and name
    what lies there."""
    there = door.identity()
    which = "not there" if there is None else f"{there.system} {there.target} {there.marker}"
    return sendable(f"{mapping.source.name} → {mapping.target.name} ({which}), from {Path.cwd()}")


class Said(msgspec.Struct, frozen=True):
    """A line of its log, which who asked logs in its place."""

    logger: str
    level: int
    text: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """It has loaded the pipeline, and reached all systems."""

    said: list[Said]


class Found(msgspec.Struct, frozen=True, tag=True):
    """Of a page."""

    looked: Looked
    said: list[Said]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """In place of another answer; none follows."""

    kind: str
    message: str
    remedy: str
    said: list[Said]

    @classmethod
    def of(cls, error: LockstepError, said: list[Said]) -> Failed:
        return cls(_kind(error), sendable(str(error)), sendable(error.remedy), said)

    def error(self) -> LockstepError:
        """What it failed with, to be raised by who asked."""
        kind: type[LockstepError] = getattr(errors, self.kind, LockstepError)
        return kind(self.message, self.remedy)


def _kind(error: LockstepError) -> str:
    """Of the tree: a connector has kinds of its own, each of one of these."""
    return next(one for one in map(_name, type(error).__mro__) if one)


def _name(kind: type) -> str:
    return kind.__name__ if getattr(errors, kind.__name__, None) is kind else ""


def sendable(text: str) -> str:
    """Half characters, of names that are no UTF-8, have no place in a frame."""
    return text.encode(errors="backslashreplace").decode()


def send(stream: IO[bytes], message: object) -> None:
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end, also in the middle of one."""
    head = stream.read(_LENGTH)
    body = stream.read(int.from_bytes(head, "big")) if len(head) == _LENGTH else b""
    return body if head and len(body) == int.from_bytes(head, "big") else None
