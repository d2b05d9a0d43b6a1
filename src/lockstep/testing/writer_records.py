"""The law of `Writer` about single records: values, metadata, keys, scans. See `writer_law`."""

from __future__ import annotations

import contextlib

import pytest

from lockstep.forms.keys import encode
from lockstep.ports import Target, Writer
from lockstep.testing.writer_hooks import WriterHooks, assert_holds, change, same, shown, write
from lockstep.testing.writer_values import KINDS
from lockstep.values import Change, Fingerprint, Held, Key, Meta, Record, Status, Version, version

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


class RecordsLaw(WriterHooks):
    """What is sent comes back, by its key and in its place."""

    # values

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_value_comes_back(self, target: Target, writer: Writer, kind: str) -> None:
        changes = [change(self.key(target, n), {kind: value}) for n, value in enumerate(KINDS[kind])]
        outcomes = writer.write(changes)
        assert len(outcomes) == len(changes)
        held = writer.read([c.key for c in changes])
        scanned = {h.key: h for h in writer.scan(None, len(changes) + 1)}
        for sent, outcome in zip(changes, outcomes, strict=True):
            if kind in self.cannot_hold and outcome.status is Status.REJECTED:
                assert outcome.reason, f"rejected without a reason: {shown(sent)}"
                assert sent.key not in held
                continue
            assert outcome.status is Status.APPLIED, f"{outcome} for {shown(sent)}"
            assert_holds(writer, sent, outcome, held.get(sent.key))
            assert_holds(writer, sent, outcome, scanned.get(sent.key))

    def test_null_missing_and_empty_are_three_things(self, target: Target, writer: Writer) -> None:
        records: list[Record] = [{"text": "", "integer": 1}, {"text": None, "integer": 1}, {"integer": 1}]
        changes = [change(self.key(target, n), record) for n, record in enumerate(records)]
        outcomes = write(writer, *changes)
        held = writer.read([c.key for c in changes])
        for sent, outcome in zip(changes, outcomes, strict=True):
            assert_holds(writer, sent, outcome, held.get(sent.key))

    def test_a_record_replaces_the_whole_record(self, target: Target, writer: Writer) -> None:
        key = self.key(target, 1)
        write(writer, change(key, {"text": "a", "integer": 1}))
        second = change(key, {"integer": 2}, version(1, 2))
        (outcome,) = write(writer, second)
        assert_holds(writer, second, outcome, writer.read([key])[key])

    def test_metadata_comes_back_exactly(self, target: Target, writer: Writer) -> None:
        metas = [
            Meta("m", encode((7, "é\0|", -3)), Fingerprint(_LARGEST), _SMALLEST, version(1, 0)),
            Meta("user_document", encode((b"\0\xff",)), Fingerprint(_SMALLEST), _LARGEST, version(1, 1)),
            Meta("名前", Key(bytes(range(256))), Fingerprint(0), 0, Version(2**63 - 1)),
            Meta("m" * 200, Key(b""), Fingerprint(-1), -1, version(1, 2**32 - 1)),
            Meta("m", encode((2**53 + 1,)), Fingerprint(2**53 + 1), -(2**53) - 1, Version(2**53 + 1)),
        ]
        changes = [Change(self.key(target, n), self.record(n), meta) for n, meta in enumerate(metas)]
        write(writer, *changes)
        held = writer.read([c.key for c in changes])
        assert [held[c.key].meta for c in changes] == metas
        assert [h.meta for h in writer.scan(None, 10)] == metas
        again = [
            Change(c.key, c.record, Meta("n", Key(b"n"), Fingerprint(n), 5, c.meta.version))
            for n, c in enumerate(changes)
        ]
        write(writer, *again)
        assert [h.meta for h in writer.scan(None, 10)] == [c.meta for c in again]

    def test_awkward_keys_are_keys(self, target: Target, writer: Writer) -> None:
        keys = [target.key((text,)) for text in self.awkward_keys]
        changes = [change(key, self.record(n)) for n, key in enumerate(keys)]
        write(writer, *changes)
        held = writer.read(keys)
        for sent in changes:
            assert same(held[sent.key].record, sent.record), shown(sent)
        assert [h.key for h in writer.scan(None, len(keys) + 1)] == sorted(keys)
        write(writer, *(change(key, None, version(1, 2)) for key in keys))
        assert writer.read(keys) == {}

    def test_an_unknown_key_reads_as_absent(self, target: Target, writer: Writer) -> None:
        known, unknown = self.key(target, 1), self.key(target, 2)
        assert writer.read([unknown]) == {}
        write(writer, change(known, self.record(1)))
        assert set(writer.read([unknown, known, known])) == {known}
        assert writer.read([]) == {}

    def test_applied_is_seen_by_another_writer(self, target: Target, writer: Writer) -> None:
        with contextlib.closing(target.open(1)) as other:
            for number in range(3):
                sent = change(self.key(target, number), self.record(number))
                write(writer, sent)
                assert set(other.read([sent.key])) == {sent.key}
                assert len(other.scan(None, 10)) == number + 1

    # scans

    @pytest.mark.parametrize("size", [1, 3, 7, 25, 100])
    def test_adjoining_pages_are_the_whole(self, target: Target, writer: Writer, size: int) -> None:
        keys = [self.key(target, n) for n in range(25)]
        write(writer, *(change(key, self.record(n)) for n, key in reversed([*enumerate(keys)])))
        seen: list[Held] = []
        while page := writer.scan(seen[-1].key if seen else None, size):
            seen += page
            assert len(page) == size or len(seen) == len(keys), "fewer than the limit only at the end"
        assert [h.key for h in seen] == keys
        assert all(same(h.record, self.record(n)) for n, h in enumerate(seen))

    def test_a_scan_goes_on_after_a_key_that_is_not_there(self, target: Target, writer: Writer) -> None:
        keys = [self.key(target, n) for n in range(0, 20, 2)]
        write(writer, *(change(key, self.record(n)) for n, key in enumerate(keys)))
        assert [h.key for h in writer.scan(self.key(target, 7), 3)] == keys[4:7]
        assert writer.scan(self.key(target, 18), 3) == []
        assert writer.scan(self.key(target, 99), 3) == []

    def test_a_scan_misses_nothing_while_records_are_deleted(self, target: Target, writer: Writer) -> None:
        keys = [self.key(target, n) for n in range(20)]
        write(writer, *(change(key, self.record(n)) for n, key in enumerate(keys)))
        seen: list[Key] = []
        gone: set[Key] = set()
        while page := writer.scan(seen[-1] if seen else None, 4):
            seen += [h.key for h in page]
            ahead = [key for key in keys if key > seen[-1]][:1]
            now = {seen[0], seen[-1], *ahead}  # behind, here, and the next one
            write(writer, *(change(key, None, version(1, len(seen) + 1)) for key in sorted(now)))
            gone |= now
        assert seen == sorted(set(seen)), "no key twice, in order"
        assert set(seen) >= set(keys) - gone, "what stayed was seen"

    def test_records_written_past_lockstep_have_no_metadata(self, target: Target, writer: Writer) -> None:
        mine, planted = self.key(target, 1), self.key(target, 2)
        sent = change(mine, self.record(1))
        write(writer, sent)
        if not self.plant(target, planted, self.record(2)):
            pytest.skip("no hook `plant`")
        assert {h.key: h.meta for h in writer.scan(None, 10)} == {mine: sent.meta, planted: None}
        found = writer.read([planted])[planted]
        assert found.meta is None
        assert {**self.record(2), **found.record} == found.record
        owned = change(planted, self.record(3))
        write(writer, owned)
        assert writer.read([planted])[planted].meta == owned.meta
        write(writer, change(planted, None, version(1, 2)))
        assert writer.read([planted]) == {}
