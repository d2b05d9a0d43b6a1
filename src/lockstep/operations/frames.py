"""What a deep check and the processes that look for it say to each other, and how it is framed: four bytes of
length, then MessagePack."""

from __future__ import annotations

from typing import IO

import msgspec

from lockstep import errors
from lockstep.agreement.looking import Looked
from lockstep.errors import LockstepError
from lockstep.values import Key

_LENGTH = 4


class Task(msgspec.Struct, frozen=True):
    """What to look at, once, as the first frame: a mapping of a pipeline file on one build of its target.

    state       the place of the state store, as a person writes it
    version     of the mapping, as who asks has it
    consumer    in the state store; `generation` of the target
    cuts        between spans of source keys: see `Looked`
    """

    file: str
    state: str
    mapping: str
    version: str
    consumer: int
    generation: int
    cuts: tuple[Key, ...]


class Said(msgspec.Struct, frozen=True):
    """A line of its log, which who asked logs in its place."""

    logger: str
    level: int
    text: str


class Found(msgspec.Struct, frozen=True, tag=True):
    """Of a page."""

    looked: Looked
    said: list[Said]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """In place of `Found`; no other answer follows."""

    kind: str
    message: str
    remedy: str

    def error(self) -> LockstepError:
        """What it failed with, to be raised by who asked."""
        kind: type[LockstepError] = getattr(errors, self.kind, LockstepError)
        return kind(self.message, self.remedy)


def send(stream: IO[bytes], message: object) -> None:
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end, also in the middle of one."""
    head = stream.read(_LENGTH)
    body = stream.read(int.from_bytes(head, "big")) if len(head) == _LENGTH else b""
    return body if head and len(body) == int.from_bytes(head, "big") else None
