"""The law of `lockstep.ports.Restorable` and `Repository`, as a test class: what is saved comes back.

    class TestOurs(RestorableLaw):
        @pytest.fixture
        def target(self, tmp_path: Path) -> Target:
            return Ours(tmp_path, snapshots=tmp_path / "saved").table("law")

        def wreck(self, target: Target, name: str) -> bool:
            ...                                   # damages a saved state, past Lockstep

`elsewhere` is what lets the law kill a process in the middle of a save or a restore (`KilledLaw`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from lockstep.errors import CannotSum, Unreachable
from lockstep.ports import Repository, SummingWriter, Target, Writer
from lockstep.testing.restorable_hooks import SEARCHED, restorable
from lockstep.testing.restorable_refusals import RefusalsLaw
from lockstep.testing.writer_hooks import DONE, change, same, write
from lockstep.values import Held, Saved, Status, version


class RestorableLaw(RefusalsLaw):
    """What every `Repository` must do, and `Restorable.remove`."""

    # saved and restored

    def test_what_was_saved_comes_back(self, target: Target, writer: Writer, repository: Repository) -> None:
        assert repository.saved() == []
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        began = time.time()
        saved = repository.save(SEARCHED, "first-1")
        assert saved.name == "first-1"
        assert began - 5 <= saved.at <= time.time() + 5
        assert saved.records in (None, len(before))
        assert repository.saved() == [saved]
        identity = repository.restore("first-1", self.into, "law restored")
        assert identity.marker == "law restored"
        self.assert_restored(target, self.into, "law restored", before)
        with contextlib.closing(target.open(self.into)) as restored:
            assert restored.identity() == identity
        self.assert_restored(target, SEARCHED, "law", before)

    def test_what_is_written_after_a_save_is_not_in_it(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        left = self.fill(target, writer)
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "early")
        write(writer, change(self.key(target, 500), self.record(500), version(5, 1)))
        write(writer, change(left[0].key, self.record(501), version(5, 1)))
        write(writer, change(left[1].key, None, version(5, 1)))
        after = self.held(target, SEARCHED)
        repository.restore("early", self.into, "law restored")
        self.assert_restored(target, self.into, "law restored", before)
        self.assert_restored(target, SEARCHED, "law", after)

    def test_an_empty_build_comes_back_empty(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        repository.save(SEARCHED, "empty")
        repository.restore("empty", self.into, "law restored")
        self.assert_restored(target, self.into, "law restored", [])

    def test_a_restored_build_is_written_as_any_other(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        left = self.fill(target, writer)
        repository.save(SEARCHED, "one")
        repository.restore("one", self.into, "law restored")
        with contextlib.closing(target.open(self.into)) as restored:
            newer = change(left[0].key, self.record(700), version(6, 1))
            write(restored, newer, change(left[1].key, None, version(6, 1)))
            assert same(restored.read([newer.key])[newer.key].record, newer.record)
            assert restored.read([left[1].key]) == {}
            if restored.features.versions:
                older = change(left[2].key, self.record(701), version(1, 1))
                assert restored.write([older])[0].status is Status.SUPERSEDED
            assert restored.contents().highest >= version(6, 1)
        assert len(self.held(target, SEARCHED)) == len(left), "the other build is as it was"

    def test_a_restored_build_sums_as_the_saved_one(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        if not isinstance(writer, SummingWriter):
            pytest.skip("the target has no sums of its own")
        self.fill(target, writer)
        try:
            before = writer.sums("law", [])
        except CannotSum:
            pytest.skip("the server has no sums of its own")
        repository.save(SEARCHED, "one")
        repository.restore("one", self.into, "law restored")
        with contextlib.closing(target.open(self.into)) as restored:
            assert isinstance(restored, SummingWriter)
            assert restored.sums("law", []) == before

    def test_each_saved_state_is_of_its_own_moment(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        moments: dict[str, list[Held]] = {}
        saved: list[Saved] = []
        for n, name in enumerate(("z-1", "a-2", "m-3")):
            write(writer, *(change(self.key(target, k), self.record(n), version(n + 2, 1)) for k in range(9)))
            write(writer, change(self.key(target, 20 + n), self.record(n), version(n + 2, 1)))
            moments[name] = self.held(target, SEARCHED)
            saved.append(repository.save(SEARCHED, name))
        assert repository.saved() == saved, "oldest first"
        for name in ("m-3", "z-1", "a-2"):
            repository.restore(name, self.into, f"of {name}")
            self.assert_restored(target, self.into, f"of {name}", moments[name])
            restorable(target).remove(self.into, f"of {name}")
            self.assert_nothing(target, self.into)

    def test_a_restored_build_can_be_saved_and_restored(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        if not self.generational:
            pytest.skip("one build only")
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "one")
        repository.restore("one", 2, "second")
        repository.save(2, "two")
        repository.restore("two", 3, "third")
        self.assert_restored(target, 3, "third", before)
        repository.restore("two", 0, "rehearsal")
        self.assert_restored(target, 0, "rehearsal", before)
        assert {one.name for one in repository.saved()} == {"one", "two"}
        restorable(target).remove(0, "rehearsal")
        restorable(target).remove(3, "third")

    def test_where_one_build_is_all_it_is_replaced(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        if self.generational:
            pytest.skip("builds lie side by side")
        left = self.fill(target, writer)
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "good")
        write(writer, *(change(one.key, None, version(5, 1)) for one in left[:30]))
        write(writer, change(self.key(target, 800), self.record(800), version(5, 1)))
        repository.restore("good", SEARCHED, "law again")
        self.assert_restored(target, SEARCHED, "law again", before)

    # asked again

    def test_the_same_save_twice_is_as_once(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        saved = repository.save(SEARCHED, "one")
        write(writer, change(self.key(target, 900), self.record(1), version(5, 1)))
        assert repository.save(SEARCHED, "one") == saved
        with contextlib.closing(restorable(target).repository()) as other:
            assert other.save(SEARCHED, "one") == saved
            assert other.saved() == [saved]
        repository.restore("one", self.into, "law restored")
        self.assert_restored(target, self.into, "law restored", before)

    def test_the_same_restore_twice_is_as_once(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer)
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "one")
        for _ in range(3):
            repository.restore("one", self.into, "law restored")
            self.assert_restored(target, self.into, "law restored", before)
        restorable(target).remove(self.into, "law restored")
        repository.restore("one", self.into, "once more")
        self.assert_restored(target, self.into, "once more", before)

    def test_a_restore_asked_again_undoes_nothing_that_was_written_since(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        left = self.fill(target, writer)
        repository.save(SEARCHED, "one")
        identity = repository.restore("one", self.into, "law restored")
        with contextlib.closing(target.open(self.into)) as restored:
            write(restored, change(left[0].key, self.record(700), version(6, 1)))
            write(restored, change(left[1].key, None, version(6, 2)))
            write(restored, change(self.key(target, 700), self.record(701), version(6, 3)))
        after = self.held(target, self.into)
        for _ in range(2):
            with contextlib.closing(restorable(target).repository()) as other:
                assert other.restore("one", self.into, "law restored") == identity
            self.assert_restored(target, self.into, "law restored", after)

    # meanwhile

    def test_writes_go_on_while_it_is_saved(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        acknowledged: list[int] = []
        stop = threading.Event()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                with contextlib.closing(target.open(SEARCHED)) as own:
                    for n in range(0, 80_000, 20):
                        changes = [change(self.key(target, n + k), self.record(n + k)) for k in range(20)]
                        assert all(outcome.status in DONE for outcome in own.write(changes))
                        acknowledged.append(n)
                        if stop.wait(0.001):
                            return
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        while len(acknowledged) < 20 and not failed:
            time.sleep(0.01)
        before = len(acknowledged)
        repository.save(SEARCHED, "amid")
        after = len(acknowledged)
        while len(acknowledged) < after + 5 and not failed:
            time.sleep(0.01)
        stop.set()
        thread.join()
        if failed:
            raise failed[0]
        repository.restore("amid", self.into, "law restored")
        held = {one.key: one.record for one in self.held(target, self.into)}
        for n in range(before * 20):
            assert same(held[self.key(target, n)], self.record(n)), "acknowledged before the save"
        latest = [self.key(target, (after + 1) * 20 + k) for k in range(60)]  # one may have been under way
        assert not held.keys() & latest, "written after the save"

    def test_progress_may_be_asked_at_any_time(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer, 1000)
        seen: list[float | None] = [repository.progress()]
        stop = threading.Event()

        def ask() -> None:
            ended = False
            while not ended:
                ended = stop.wait(0.001)
                seen.append(repository.progress())

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            repository.save(SEARCHED, "one")
            repository.restore("one", self.into, "law restored")
        finally:
            stop.set()
            thread.join()
        assert len(seen) > 1
        assert all(one is None or 0 <= one <= 1 for one in seen)

    def test_what_does_not_answer_is_unreachable(
        self, target: Target, writer: Writer, repository: Repository
    ) -> None:
        self.fill(target, writer)
        repository.save(SEARCHED, "one")
        cut = self.cut(target)
        if cut is None:
            pytest.skip("no hook `cut`")
        with cut:
            asked: list[Callable[[], object]] = [
                repository.saved,
                lambda: repository.save(SEARCHED, "two"),
                lambda: repository.restore("one", self.into, "law restored"),
            ]
            for ask in asked:
                with contextlib.suppress(Unreachable):
                    ask()
        repository.save(SEARCHED, "two")
        repository.restore("two", self.into, "law restored")
        self.assert_restored(target, self.into, "law restored", self.held(target, SEARCHED))
