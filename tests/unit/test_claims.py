"""One owner per target key: who waits, who is told, and what is never left behind."""

from __future__ import annotations

import sqlite3
from itertools import permutations
from pathlib import Path

import pytest

from lockstep.values import Key, Status
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, Row
from tests.unit.test_loop import K, User, by_email, parts, plain, row, works


def claims(one: Works) -> dict[Key, Key]:
    with sqlite3.connect(one.store.directory / "ledger.db") as ledger:
        found = dict(ledger.execute("SELECT target_key, key FROM claims").fetchall())
    ledger.close()
    return found


@pytest.mark.parametrize("order", list(permutations(range(2))))
@pytest.mark.parametrize("together", [True, False])
def test_one_gives_up_a_key_and_another_takes_it(
    tmp_path: Path, order: tuple[int, ...], together: bool
) -> None:
    one = works(tmp_path, by_email, row(1, "t"), row(2, "u"))
    changes = [(row(1, "t"), row(1, "s")), (row(2, "u"), row(2, "t"))]
    for at in order:
        one.change("users", *changes[at])
        if not together:
            one.work()
    one.work()
    assert one.held() == {K("s"): {"user": 1}, K("t"): {"user": 2}}
    assert claims(one) == {K("s"): K(1), K("t"): K(2)}
    assert not one.stuck()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_keys_go_round_in_a_ring(tmp_path: Path, order: tuple[int, ...]) -> None:
    """a → b → c → a: each wants what another still owns, and nobody derives it any more."""
    one = works(tmp_path, by_email, row(1, "a"), row(2, "b"), row(3, "c"))
    changes = [(row(1, "a"), row(1, "b")), (row(2, "b"), row(2, "c")), (row(3, "c"), row(3, "a"))]
    for at in order:
        one.change("users", *changes[at])
    one.work()
    assert one.held() == {K("b"): {"user": 1}, K("c"): {"user": 2}, K("a"): {"user": 3}}
    assert claims(one) == {K("b"): K(1), K("c"): K(2), K("a"): K(3)}
    assert not one.stuck()


def test_two_that_derive_one_key(tmp_path: Path) -> None:
    one = works(tmp_path, by_email, row(1, "t"), row(2, "t"))
    assert one.held() == {K("t"): {"user": 1}}
    assert "belongs to source key 1, and 2 derives it too" in one.stuck()[K(2)]
    one.ask()
    one.work()
    assert one.held() == {K("t"): {"user": 1}}, "and they do not overwrite each other"
    one.change("users", row(1, "t"), None)
    one.work()
    assert one.held() == {K("t"): {"user": 2}}
    assert not one.stuck()


def test_the_one_that_waits_does_not_take_its_old_record_along(tmp_path: Path) -> None:
    one = works(tmp_path, by_email, row(1, "t"), row(2, "u"))
    one.change("users", row(2, "u"), row(2, "t"))
    one.work()
    assert one.held() == {K("t"): {"user": 1}}, "nobody derives u any more"
    assert K(2) in one.stuck()
    one.change("users", row(2, "t"), None)
    one.work()
    assert not one.stuck()
    assert claims(one) == {K("t"): K(1)}
    one.change("users", row(1, "t"), None)
    one.work()
    assert (one.held(), claims(one)) == ({}, {})


def test_several_records_one_of_them_taken(tmp_path: Path) -> None:
    one = works(tmp_path, parts, row(1, "a,b"), row(2, "c,d"))
    one.change("users", row(2, "c,d"), row(2, "b,c,e"))
    one.work()
    assert K(2) in one.stuck()
    assert K("d") not in one.held()
    one.change("users", row(1, "a,b"), row(1, "a"))
    one.work()
    assert one.held() == {
        K("a"): {"user": 1},
        K("b"): {"user": 2},
        K("c"): {"user": 2},
        K("e"): {"user": 2},
    }
    assert not one.stuck()


def test_a_rejected_record_holds_no_claim_for_ever(tmp_path: Path) -> None:
    one = works(tmp_path, by_email)
    one.target.writer.answer = lambda change: Status.REJECTED
    one.change("users", None, row(1, "t"))
    one.work()
    one.target.writer.answer = lambda change: None
    one.change("users", row(1, "t"), row(1, "u"))
    one.change("users", None, row(2, "t"))
    one.work()
    assert one.held() == {K("u"): {"user": 1}, K("t"): {"user": 2}}
    assert claims(one) == {K("u"): K(1), K("t"): K(2)}


def test_a_crash_between_claim_and_write_leaves_no_claim(tmp_path: Path) -> None:
    one = works(tmp_path, by_email)

    def die(change: object) -> Status:
        raise KeyboardInterrupt

    one.target.writer.answer = die
    one.change("users", None, row(1, "t"))
    with pytest.raises(KeyboardInterrupt):
        one.work()
    one.target.writer.answer = lambda change: None
    one.change("users", row(1, "t"), row(1, "u"))
    one.change("users", None, row(2, "t"))
    one.restart()
    one.work()
    assert one.held() == {K("u"): {"user": 1}, K("t"): {"user": 2}}
    assert claims(one) == {K("u"): K(1), K("t"): K(2)}


def _two(path: Path, source: MemorySource, **options: bool) -> tuple[Works, Works]:
    target = MemoryTarget()

    def first(user: User) -> dict[str, object]:
        return plain(user)

    one = Works(path, by_email, source, target, claims=True)
    other = Works(path, first, source, target, store=one.store, lease=one.lease, claims=True)
    return one, other


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_mappings_on_one_target(tmp_path: Path, order: tuple[int, ...]) -> None:
    """One keys its records by e-mail, the other by id: they meet at 7."""
    pair = _two(tmp_path, MemorySource(users=[row(7, "x"), {"id": 8, "email": 7}]))
    for at in order:
        pair[at].ask()
        pair[at].work()
    first, second = (pair[at] for at in order)
    assert not first.stuck()
    assert len(second.stuck()) == 1
    assert first.target.writer.records[K(7)].meta.mapping == first.mapping.name  # type: ignore[union-attr]
    freed: list[tuple[Row, Row]] = [
        ({"id": 8, "email": 7}, {"id": 8, "email": 9}),
        (row(7, "x"), row(6, "x")),
    ]
    before, after = freed[order[0]]
    first.change("users", before, after)
    first.work()
    second.work()
    assert not second.stuck()
    assert first.target.writer.records[K(7)].meta.mapping == second.mapping.name  # type: ignore[union-attr]


def test_a_second_mapping_finds_the_keys_of_the_first_claimed(tmp_path: Path) -> None:
    """While it was alone its records, at the source key, needed no claims."""
    source = MemorySource(users=[row(7, "x"), {"id": 8, "email": 7}])
    target = MemoryTarget()
    alone = Works(tmp_path, plain, source, target, claims=False)
    alone.ask()
    alone.work()
    first = Works(tmp_path, plain, source, target, store=alone.store, lease=alone.lease, claims=True)
    first.store.ledger.claim_standing(
        first.lease.epoch, first.generation, first.consumer, first.mapping.default_key
    )
    second = Works(tmp_path, by_email, source, target, store=alone.store, lease=alone.lease, claims=True)
    second.ask()
    second.work()
    assert target.writer.records[K(7)].meta.mapping == "plain"  # type: ignore[union-attr]
    assert K(8) in second.stuck()
    first.change("users", row(7, "x"), None)
    first.work()
    second.work()
    assert target.writer.records[K(7)].meta.mapping == "by_email"  # type: ignore[union-attr]
