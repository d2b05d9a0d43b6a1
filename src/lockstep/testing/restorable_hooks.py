"""What the laws of `Restorable` and `Repository` need to know of a connector, beyond `WriterHooks`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import ClassVar

import pytest

from lockstep.ports import Repository, Restorable, Target, Writer
from lockstep.testing.writer_hooks import WriterHooks, change, same, write
from lockstep.values import Change, Held, version

SEARCHED = 1
"""The generation that the law saves; its marker is `law`."""


class RestorableHooks(WriterHooks):
    """What a subclass says of its connector, beyond `WriterHooks`."""

    full: ClassVar[bool] = True
    """Whether a saved state that the law wrecks can be told from a whole one without restoring it."""

    def wreck(self, target: Target, name: str) -> bool:
        """Damages a saved state past Lockstep, so that it cannot be restored. False: cannot be done."""
        return False

    def another(self, target: Target) -> Target | None:
        """Another target whose saved states lie in the same place, not created yet. None: there is none."""
        return None

    def elsewhere(self, target: Target) -> str | None:
        """Python source, the last expression of which is this target, for another process: imports, `;`,
        expression. None: no other process can reach it."""
        return None

    @property
    def into(self) -> int:
        """The build that is restored into: beside the one that was saved."""
        return 2 if self.generational else 0

    @pytest.fixture
    def repository(self, target: Target) -> Iterator[Repository]:
        assert isinstance(target, Restorable)
        with contextlib.closing(target.repository()) as repository:
            yield repository

    def fill(self, target: Target, writer: Writer, count: int = 60) -> list[Change]:
        """Writes records and removes some; what is left."""
        changes = [change(self.key(target, n), self.record(n), version(3, n + 1)) for n in range(count)]
        write(writer, *changes)
        write(writer, *(change(one.key, None, version(4, 1)) for one in changes[::10]))
        return [one for n, one in enumerate(changes) if n % 10]

    def held(self, target: Target, generation: int) -> list[Held]:
        """All that a build holds."""
        with contextlib.closing(target.open(generation)) as writer:
            return list(everything(writer))

    def assert_restored(self, target: Target, generation: int, marker: str, wanted: list[Held]) -> None:
        """The build has this marker and holds just these records, with their metadata."""
        with contextlib.closing(target.open(generation)) as writer:
            identity = writer.identity()
            assert identity is not None, "nothing stands there"
            assert identity.marker == marker
            found = list(everything(writer))
            assert [one.key for one in found] == [one.key for one in wanted]
            for one, other in zip(found, wanted, strict=True):
                assert same(one.record, other.record)
                assert one.meta == other.meta
            contents = writer.contents()
            assert contents.records == len(wanted)
            assert contents.highest >= max((one.meta.version for one in wanted if one.meta), default=0)

    def assert_nothing(self, target: Target, generation: int) -> None:
        with contextlib.closing(target.open(generation)) as writer:
            assert writer.identity() is None, "something was left behind"


def everything(writer: Writer) -> Iterator[Held]:
    page = writer.scan(None, 2000)
    while page:
        yield from page
        page = writer.scan(page[-1].key, 2000)


def restorable(target: Target) -> Restorable:
    assert isinstance(target, Restorable)
    return target
