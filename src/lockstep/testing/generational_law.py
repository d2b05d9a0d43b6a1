"""The law of `lockstep.ports.Generational`, as a test class: builds side by side, one of which is searched.

class TestOurs(GenerationalLaw):
    def seen(self, target: Target) -> list[str]:
        ...                                   # the field `text` of what a reader of the target finds
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import ClassVar

import pytest

from lockstep.errors import Refused, TargetReplaced
from lockstep.ports import Generational, Target, Writer
from lockstep.testing.writer_hooks import WriterHooks, change, write
from lockstep.values import version


class GenerationalLaw(WriterHooks):
    """What every `Generational` target must do."""

    reads: ClassVar[int] = 3000
    """How many reads see the swaps."""

    def seen(self, target: Target) -> list[str]:
        """The field `text` of every record that a reader finds who knows the target by its name alone
        and asks once. At most 20 records are there."""
        raise NotImplementedError("give a hook `seen`")

    def build(self, target: Target, generation: int, marker: str, count: int = 7) -> list[str]:
        """Makes a build, and says what a reader of it finds, in order."""
        texts = sorted(f"{marker} {n}" for n in range(count))
        with contextlib.closing(target.open(generation)) as writer:
            writer.create(marker)
            write(
                writer,
                *(
                    change(self.key(target, n), {"text": text, "integer": n}, version(generation + 1, 1))
                    for n, text in enumerate(texts)
                ),
            )
        return texts

    def test_what_is_pointed_at_is_searched(self, target: Target) -> None:
        generational = _generational(target)
        assert generational.searched() is None
        one, two = self.build(target, 1, "one"), self.build(target, 2, "two")
        for generation, texts in ((1, one), (2, two), (2, two), (1, one)):
            generational.assert_pointable(generation)
            generational.point(generation)
            assert generational.searched() == generation
            assert sorted(self.seen(target)) == texts

    def test_a_later_build_is_not_searched_until_it_is_pointed_at(self, target: Target) -> None:
        one = self.build(target, 1, "one")
        _generational(target).point(1)
        self.build(target, 2, "two")
        self.build(target, 0, "rehearsal")
        assert _generational(target).searched() == 1
        assert sorted(self.seen(target)) == one

    def test_a_rehearsal_is_never_searched_by_being_made(self, target: Target) -> None:
        self.build(target, 0, "rehearsal")
        assert _generational(target).searched() is None
        _generational(target).remove(0, "rehearsal")

    def test_a_build_that_is_not_there_is_not_pointed_at(self, target: Target) -> None:
        with pytest.raises(TargetReplaced):
            _generational(target).point(1)
        assert _generational(target).searched() is None
        one = self.build(target, 1, "one")
        _generational(target).point(1)
        with pytest.raises(TargetReplaced):
            _generational(target).point(2)
        assert _generational(target).searched() == 1
        assert sorted(self.seen(target)) == one

    def test_what_is_written_to_the_other_build_is_not_seen(self, target: Target) -> None:
        one, two = self.build(target, 1, "one"), self.build(target, 2, "two")
        _generational(target).point(1)
        with contextlib.closing(target.open(2)) as writer:
            write(writer, change(self.key(target, 50), {"text": "two late", "integer": 1}, version(9, 1)))
            assert sorted(self.seen(target)) == one
            _generational(target).point(2)
            assert sorted(self.seen(target)) == sorted([*two, "two late"]), "all that was acknowledged"

    def test_a_searched_build_is_not_removed(self, target: Target) -> None:
        generational = _generational(target)
        self.build(target, 1, "one")
        two = self.build(target, 2, "two")
        generational.point(1)
        with pytest.raises(Refused) as refused:
            generational.remove(1, "one")
        assert refused.value.remedy, "an error names its mend"
        generational.point(2)
        with pytest.raises(Refused):
            generational.remove(1, "two")
        for _ in range(2):
            generational.remove(1, "one")
        with contextlib.closing(target.open(1)) as gone:
            assert gone.identity() is None
        with pytest.raises(TargetReplaced):
            generational.point(1)
        assert generational.searched() == 2
        assert sorted(self.seen(target)) == two

    def test_a_generation_can_be_made_again(self, target: Target) -> None:
        self.build(target, 1, "one")
        self.build(target, 2, "two")
        _generational(target).point(1)
        _generational(target).remove(2, "two")
        again = self.build(target, 2, "again")
        _generational(target).point(2)
        assert sorted(self.seen(target)) == again

    def test_writers_stay_with_their_own_build(self, target: Target, writer: Writer) -> None:
        write(writer, change(self.key(target, 1), {"text": "first", "integer": 1}))
        two = self.build(target, 2, "two")
        _generational(target).point(2)
        write(writer, change(self.key(target, 2), {"text": "second", "integer": 2}))
        assert sorted(self.seen(target)) == two
        assert [held.record["text"] for held in writer.scan(None, 10)] == ["first", "second"]

    def test_no_read_fails_or_sees_a_mixture_while_builds_are_swapped(self, target: Target) -> None:
        generational = _generational(target)
        one, two = self.build(target, 1, "one", 5), self.build(target, 2, "two", 9)
        generational.point(1)
        seen: dict[str, int] = {"one": 0, "two": 0}
        wrong: list[str] = []
        lock = threading.Lock()
        stop = threading.Event()

        def hammer() -> None:
            while not stop.is_set():
                try:
                    found = sorted(self.seen(target))
                except Exception as error:
                    wrong.append(f"a read failed: {error!r}")
                    return
                if found not in (one, two):
                    wrong.append(f"neither one nor the other: {found}")
                    return
                with lock:
                    seen["one" if found == one else "two"] += 1

        readers = [threading.Thread(target=hammer) for _ in range(4)]
        for reader in readers:
            reader.start()
        swaps, deadline = 0, time.monotonic() + 60
        try:
            while (
                not wrong and time.monotonic() < deadline and (sum(seen.values()) < self.reads or swaps < 20)
            ):
                swaps += 1
                generational.point(1 + swaps % 2)
                time.sleep(0.02)
        finally:
            stop.set()
            for reader in readers:
                reader.join()
        assert not wrong, wrong[0]
        assert swaps >= 20
        assert sum(seen.values()) >= self.reads
        assert min(seen.values()) > 0, f"both were seen: {seen}"


def _generational(target: Target) -> Generational:
    assert isinstance(target, Generational)
    return target
