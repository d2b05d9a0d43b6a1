"""The law of `lockstep.ports.Writer`, as a test class. Every connector that writes subclasses it:

    class TestOurs(WriterLaw):
        cannot_hold = frozenset({"not_finite"})   # kinds of `KINDS` that it rejects, with a reason

        @pytest.fixture
        def target(self, tmp_path: Path) -> Target:
            return Ours(tmp_path).table("law")    # fresh: `create` has not been called

        def bad_record(self) -> Record | None:
            return {"integer": "no number"}

The other hooks (`key`, `record`, `plant`, `drop`, `cut`) may be left as they are: tests that need one skip.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from lockstep.errors import Refused, TargetReplaced, Unreachable
from lockstep.ports import Target, Writer
from lockstep.testing.writer_hooks import DONE, assert_identity, change, same, shown, write
from lockstep.testing.writer_records import RecordsLaw
from lockstep.values import Change, Contents, Fingerprint, Meta, Record, Status, Version, version


class WriterLaw(RecordsLaw):
    """What every `Writer` must do, against its real server."""

    # identity

    def test_before_create_there_is_no_identity(self, target: Target) -> None:
        with contextlib.closing(target.open(1)) as writer:
            assert writer.identity() is None
            assert writer.identity() is None, "asking must not create it"

    def test_create_leaves_the_marker_and_it_survives_reopening(self, target: Target) -> None:
        writer = target.open(1)
        created = writer.create("marker of 雪")
        assert created.marker == "marker of 雪"
        assert writer.contents() == Contents(0, Version(0))
        assert writer.identity() == created
        with contextlib.closing(self.reopen(target, writer)) as other:
            assert other.identity() == created

    def test_create_twice_refuses(self, target: Target, writer: Writer) -> None:
        key = self.key(target, 1)
        write(writer, change(key, self.record(1)))
        with pytest.raises(Refused) as refused:
            writer.create("another")
        assert refused.value.remedy, "an error names its mend"
        with contextlib.closing(self.reopen(target, writer)) as other:
            with pytest.raises(Refused):
                other.create("another")
            assert assert_identity(other).marker == "law"
            assert list(other.read([key])) == [key]

    def test_a_target_that_does_not_exist_is_never_created_by_a_write(self, target: Target) -> None:
        with contextlib.closing(target.open(1)) as writer:
            with pytest.raises(TargetReplaced):
                writer.write([change(self.key(target, 1), self.record(1))])
            with pytest.raises(TargetReplaced):
                writer.write([change(self.key(target, 1), None)])
            with pytest.raises(TargetReplaced):
                writer.contents()
            assert writer.identity() is None

    def test_a_target_removed_under_an_open_writer_is_not_made_again(
        self, target: Target, writer: Writer
    ) -> None:
        write(writer, change(self.key(target, 1), self.record(1)))
        if not self.drop(target):
            pytest.skip("no hook `drop`")
        with pytest.raises(TargetReplaced):
            writer.write([change(self.key(target, 2), self.record(2))])
        assert writer.identity() is None

    def test_generations_are_apart(self, target: Target, writer: Writer) -> None:
        if not self.generational:
            pytest.skip("one build only")
        key = self.key(target, 1)
        write(writer, change(key, self.record(1)))
        with contextlib.closing(target.open(2)) as second:
            assert second.identity() is None
            second.create("second")
            assert second.read([key]) == {}
            write(second, change(key, self.record(2)))
            assert assert_identity(second).marker == "second"
        assert assert_identity(writer).marker == "law"
        assert same(writer.read([key])[key].record, self.record(1))

    def test_highest_bounds_every_version_held(self, target: Target, writer: Writer) -> None:
        highest = version(2**31 - 1, 2**32 - 1)
        for number, at in enumerate((version(7, 3), version(2, 1), highest)):
            write(writer, change(self.key(target, number), self.record(number), at))
            if number < 2:
                assert highest > writer.contents().highest >= version(7, 3)
        assert writer.contents().highest == highest
        with contextlib.closing(self.reopen(target, writer)) as other:
            assert other.contents().highest == highest

    def test_records_are_counted(self, target: Target, writer: Writer) -> None:
        changes = [change(self.key(target, n), self.record(n)) for n in range(20)]
        write(writer, *changes)
        write(writer, *(change(c.key, None, version(1, 2)) for c in changes[:5]))
        assert writer.contents().records == 15

    # versions

    def test_twice_is_once(self, target: Target, writer: Writer) -> None:
        changes = [change(self.key(target, n), self.record(n)) for n in range(5)]
        write(writer, *changes)
        before = writer.scan(None, 10)
        write(writer, *changes)
        assert writer.scan(None, 10) == before
        gone = [change(c.key, None, version(1, 2)) for c in changes]
        for _ in range(2):
            write(writer, *gone)
            assert writer.scan(None, 10) == []

    def test_an_older_version_never_overwrites(self, target: Target, writer: Writer) -> None:
        self._needs_versions(writer)
        key = self.key(target, 1)
        newest = change(key, self.record(3), version(2, 0))
        write(writer, newest)
        for older in (
            change(key, self.record(1), version(1, 9)),
            change(key, None, version(1, 2**32 - 1)),
        ):
            (outcome,) = writer.write([older])
            assert outcome.status is Status.SUPERSEDED, shown(older)
            assert writer.read([key])[key].meta == newest.meta
            assert same(writer.read([key])[key].record, newest.record)

    def test_an_older_write_never_resurrects(self, target: Target, writer: Writer) -> None:
        self._needs_versions(writer)
        there, never_there = self.key(target, 1), self.key(target, 2)
        write(writer, change(there, self.record(1), version(1, 1)))
        write(writer, *(change(key, None, version(1, 5)) for key in (there, never_there)))
        for key in (there, never_there):
            (outcome,) = writer.write([change(key, self.record(1), version(1, 4))])
            assert outcome.status is Status.SUPERSEDED
            assert writer.read([key]) == {}
            (outcome,) = writer.write([change(key, None, version(1, 3))])
            assert outcome.status in (*DONE, Status.SUPERSEDED)
            (outcome,) = writer.write([change(key, self.record(1), version(1, 4))])
            assert outcome.status is Status.SUPERSEDED, "an older delete must not lower the tombstone"
            write(writer, change(key, self.record(2), version(1, 6)))
            assert same(writer.read([key])[key].record, self.record(2))

    def test_an_equal_version_may_overwrite(self, target: Target, writer: Writer) -> None:
        key = self.key(target, 1)
        write(writer, change(key, self.record(1), version(3, 3)))
        write(writer, change(key, self.record(2), version(3, 3)))
        assert same(writer.read([key])[key].record, self.record(2))

    def test_deleting_a_missing_key_is_no_error(self, target: Target, writer: Writer) -> None:
        write(writer, change(self.key(target, 1), None), change(self.key(target, 2), None))
        assert writer.scan(None, 10) == []

    # batches

    def test_outcomes_come_in_the_order_of_the_changes(self, target: Target, writer: Writer) -> None:
        assert writer.write([]) == []
        keys = [self.key(target, n) for n in range(6)]
        write(writer, *(change(key, self.record(9), version(5, 0)) for key in keys))
        changes = [
            change(key, None if n % 3 == 2 else self.record(n), version(9 if n % 2 else 1, 0))
            for n, key in enumerate(keys)
        ]
        changes.reverse()
        statuses = [outcome.status for outcome in writer.write(changes)]
        if writer.features.versions:
            newer = [c.meta.version > version(5, 0) for c in changes]
            assert [status in DONE for status in statuses] == newer
            assert Status.SUPERSEDED in statuses
        else:
            assert all(status in DONE for status in statuses)
        assert len(statuses) == len(changes)

    def test_a_key_twice_in_a_batch_ends_as_its_last(self, target: Target, writer: Writer) -> None:
        key, other = self.key(target, 1), self.key(target, 2)
        outcomes = writer.write(
            [
                change(key, self.record(1), version(1, 1)),
                change(other, self.record(5), version(1, 1)),
                change(key, None, version(1, 2)),
                change(key, self.record(2), version(1, 3)),
            ]
        )
        assert len(outcomes) == 4
        assert outcomes[-1].status in DONE
        assert all(outcome.status in (*DONE, Status.SUPERSEDED) for outcome in outcomes), outcomes
        assert [h.key for h in writer.scan(None, 10)] == [key, other]
        assert same(writer.read([key])[key].record, self.record(2))

    def test_a_large_batch(self, target: Target, writer: Writer) -> None:
        changes = [change(self.key(target, n), self.record(n)) for n in range(self.bulk)]
        write(writer, *changes)
        assert len(writer.read([c.key for c in changes])) == self.bulk

    @pytest.mark.parametrize("value", ["\ud800", object()], ids=["surrogate", "object"])
    def test_a_record_without_canonical_form_is_rejected_alone(
        self, target: Target, writer: Writer, value: Any
    ) -> None:
        self._assert_rejected_alone(target, writer, {"text": value})

    def test_one_bad_item_harms_no_other(self, target: Target, writer: Writer) -> None:
        bad = self.bad_record()
        if bad is None:
            pytest.skip("no hook `bad_record`")
        self._assert_rejected_alone(target, writer, bad)

    def test_a_bad_update_leaves_the_old_record(self, target: Target, writer: Writer) -> None:
        key, bad = self.key(target, 1), self.bad_record() or {"text": "\ud800"}
        old = change(key, self.record(1))
        write(writer, old)
        (outcome,) = writer.write([change(key, bad, version(1, 2))])
        assert outcome.status is Status.REJECTED
        assert writer.read([key])[key].meta == old.meta
        assert same(writer.read([key])[key].record, old.record)
        write(writer, change(key, self.record(2), version(1, 2)))

    # a connection that breaks

    def test_a_cut_connection_is_unknown_and_mends_itself(self, target: Target, writer: Writer) -> None:
        cut = self.cut(target)
        if cut is None:
            pytest.skip("no hook `cut`")
        changes = [change(self.key(target, n), self.record(n)) for n in range(3)]
        with cut, contextlib.suppress(Unreachable):
            outcomes = writer.write(changes)
            assert [o.status for o in outcomes] == [Status.UNKNOWN] * 3
            assert all(o.reason for o in outcomes)
        write(writer, *changes)
        assert len(writer.scan(None, 10)) == 3

    # helpers of the law

    def _needs_versions(self, writer: Writer) -> None:
        if not writer.features.versions:
            pytest.skip("the target holds no versions; it is protected by intents")

    def _assert_rejected_alone(self, target: Target, writer: Writer, bad: Record) -> None:
        keys = [self.key(target, n) for n in range(5)]
        changes = [
            Change(key, bad if n == 2 else self.record(n), Meta("law", key, Fingerprint(1), 1, version(1, 1)))
            for n, key in enumerate(keys)
        ]
        outcomes = writer.write(changes)
        assert [outcome.status in DONE for outcome in outcomes] == [True, True, False, True, True], outcomes
        assert outcomes[2].status is Status.REJECTED
        assert outcomes[2].reason
        assert sorted(writer.read(keys)) == [key for n, key in enumerate(keys) if n != 2]
