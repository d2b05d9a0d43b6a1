"""What a `Repository` refuses, and what is forgotten or removed: a part of the law of `Restorable`."""

from __future__ import annotations

import contextlib

import pytest

from lockstep.errors import Refused, TargetReplaced
from lockstep.ports import Repository, Target, Writer
from lockstep.testing.restorable_hooks import SEARCHED, RestorableHooks, restorable
from lockstep.testing.writer_hooks import change, write
from lockstep.values import version


class RefusalsLaw(RestorableHooks):
    """Nothing is restored that was not whole, and nothing removed that is not one's own."""

    # refused

    def test_no_build_is_no_saved_state(self, target: Target, repository: Repository) -> None:
        with pytest.raises(TargetReplaced):
            repository.save(SEARCHED, "nothing")
        assert repository.saved() == []

    def test_what_was_never_saved_is_not_restored(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        with pytest.raises(Refused) as refused:
            repository.restore("never", self.into, "law restored")
        assert refused.value.remedy, "an error names its mend"
        self.assert_nothing(target, self.into)
        assert repository.damage("never"), "what is gone is damaged"

    def test_a_build_of_another_marker_is_left_alone(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "one")
        repository.restore("one", self.into, "theirs")
        with contextlib.closing(target.open(self.into)) as theirs:
            write(theirs, change(self.key(target, 900), self.record(900), version(6, 1)))
        with pytest.raises(Refused) as refused:
            repository.restore("one", self.into, "ours")
        assert refused.value.remedy
        held = self.held(target, self.into)
        self.assert_restored(target, self.into, "theirs", held)
        assert len(held) == len(before) + 1

    def test_a_damaged_saved_state_is_refused(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "whole")
        write(writer, *(change(self.key(target, 100 + n), self.record(n), version(5, 1)) for n in range(50)))
        repository.save(SEARCHED, "wrecked")
        assert repository.damage("whole") is None
        assert repository.damage("wrecked") is None
        if not self.wreck(target, "wrecked"):
            pytest.skip("no hook `wreck`")
        if self.full:
            assert repository.damage("wrecked")
        with pytest.raises(Refused) as refused:
            repository.restore("wrecked", self.into, "law restored")
        assert refused.value.remedy
        self.assert_nothing(target, self.into)
        assert repository.damage("whole") is None
        repository.restore("whole", self.into, "law restored")
        self.assert_restored(target, self.into, "law restored", before)

    def test_only_its_own_are_listed_and_forgotten(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        other = self.another(target)
        if other is None:
            pytest.skip("no hook `another`")
        with contextlib.closing(other.open(1)) as theirs:
            theirs.create("theirs")
        with contextlib.closing(restorable(other).repository()) as place:
            mine, saved = repository.save(SEARCHED, "same"), place.save(1, "same")
            assert (repository.saved(), place.saved()) == ([mine], [saved])
            repository.forget("same")
            assert (repository.saved(), place.saved()) == ([], [saved])

    # forgotten and removed

    def test_forgetting_is_safe_to_repeat(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        kept, _ = repository.save(SEARCHED, "kept"), repository.save(SEARCHED, "gone")
        repository.forget("never")
        for _ in range(2):
            repository.forget("gone")
            assert repository.saved() == [kept]
        with pytest.raises(Refused):
            repository.restore("gone", self.into, "law restored")
        repository.restore("kept", self.into, "law restored")
        self.assert_restored(target, self.into, "law restored", before)
        again = repository.save(SEARCHED, "gone")
        assert repository.saved() == [kept, again], "the name is free again"

    def test_a_build_is_removed_by_its_marker_alone(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        restorable(target).remove(self.into, "law restored")
        self.fill(target, writer)
        repository.save(SEARCHED, "one")
        repository.restore("one", self.into, "law restored")
        with pytest.raises(Refused) as refused:
            restorable(target).remove(self.into, "another")
        assert refused.value.remedy
        assert len(self.held(target, self.into)) == len(self.held(target, SEARCHED))
        for _ in range(2):
            restorable(target).remove(self.into, "law restored")
            self.assert_nothing(target, self.into)
        with contextlib.closing(target.open(self.into)) as gone, pytest.raises(TargetReplaced):
            gone.write([change(self.key(target, 1), self.record(1))])
        assert [one.name for one in repository.saved()] == ["one"]
