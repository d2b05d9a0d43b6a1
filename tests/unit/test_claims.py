"""One owner per target key: who waits, who is told, and what is never left behind."""

from __future__ import annotations

import sqlite3
from itertools import permutations
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.mapping import Keyed
from lockstep.state.rows import Failure, Intent, Settlement
from lockstep.values import Key, Status, Version
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, Row
from tests.unit.test_loop import K, User, by_email, parts, plain, row, works


def owners(one: Works) -> dict[Key, tuple[int, Key]]:
    with sqlite3.connect(one.store.directory / "ledger.db") as ledger:
        found = ledger.execute("SELECT target_key, consumer, key FROM claims").fetchall()
    ledger.close()
    return {target_key: (consumer, key) for target_key, consumer, key in found}


def claims(one: Works) -> dict[Key, Key]:
    return {target_key: key for target_key, (_, key) in owners(one).items()}


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
    assert one.stuck()[K(2)] == "target key t belongs to by_email key 1, and by_email key 2 derives it too"
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


def _renamed(one: Works, function: object, **options: bool) -> Works:
    """As after a start of a pipeline that no longer declares the mapping, and another one beside it."""
    one.store.generations.set_consumer(one.consumer, state="retired")
    one.lease.redraw()
    made = Works(one.store.directory, function, one.source, one.target, store=one.store, lease=one.lease)  # type: ignore[arg-type]
    made.ask()
    made.work()
    return made


def _same(user: User) -> dict[str, object]:
    return plain(user)


def by_mail(user: User) -> list[Keyed]:
    return parts(user)


def test_a_renamed_mapping_takes_over_the_claims_of_its_old_name(tmp_path: Path) -> None:
    old = works(tmp_path, parts, row(1, "a,b"), row(2, "c"))
    new = _renamed(old, by_mail)
    assert not new.stuck()
    assert {str(held.meta.mapping) for held in new.target.writer.records.values() if held.meta} == {"by_mail"}
    assert owners(new) == {
        K("a"): (new.consumer, K(1)),
        K("b"): (new.consumer, K(1)),
        K("c"): (new.consumer, K(2)),
    }
    new.change("users", row(1, "a,b"), row(1, "a"))
    new.change("users", row(2, "c"), row(2, "b"))
    new.work()
    assert new.held() == {K("a"): {"user": 1}, K("b"): {"user": 2}}
    assert not new.stuck()


def test_the_old_name_that_comes_back_leaves_what_was_taken_over(tmp_path: Path) -> None:
    """Its ledger says that it owns them: it must look at the target before it removes any."""
    old = works(tmp_path, parts, row(1, "a"), row(2, "b"))
    new = _renamed(old, by_mail)
    old.store.generations.set_consumer(old.consumer, state="running")
    old.source.tables["users"][:] = [row(1, "b"), row(2, "a")]
    new.ask()
    new.work()
    assert new.held() == {K("b"): {"user": 1}, K("a"): {"user": 2}}
    old.begin()
    old.ask()
    old.work()
    assert old.held() == {K("b"): {"user": 1}, K("a"): {"user": 2}}
    assert {str(held.meta.mapping) for held in new.target.writer.records.values() if held.meta} == {"by_mail"}
    assert old.stuck()[K(1)] == "target key b belongs to by_mail key 1, and parts key 1 derives it too"


def test_a_phase_without_claims_leaves_no_stale_ones(tmp_path: Path) -> None:
    source = MemorySource(users=[row(5, "x"), row(6, "y")])
    target = MemoryTarget()
    one = Works(tmp_path, plain, source, target, claims=True)
    other = Works(tmp_path, by_email, source, target, store=one.store, lease=one.lease, claims=True)
    for each in (one, other):
        each.ask()
        each.work()
    one.store.generations.set_consumer(other.consumer, state="retired")
    alone = Works(tmp_path, plain, source, target, store=one.store, lease=one.lease, claims=False)
    alone.change("users", row(5, "x"), None)
    alone.change("users", None, {"id": "x", "email": "z"})
    alone.work()
    assert K(5) not in alone.held()
    alone.store.ledger.claim_standing(
        alone.lease.epoch, alone.generation, alone.consumer, alone.mapping.default_key
    )
    assert owners(one) == {
        K(6): (one.consumer, K(6)),
        K("x"): (one.consumer, K("x")),
        K("y"): (other.consumer, K(6)),
    }
    one.store.generations.set_consumer(other.consumer, state="running")
    other.begin()
    other.change("users", None, {"id": 9, "email": 5})
    other.work()
    assert not other.stuck(), "nobody derives 5 any more"
    assert target.writer.records[K("x")].meta.mapping == "plain"  # type: ignore[union-attr]
    assert target.writer.records[K(5)].meta.mapping == "by_email"  # type: ignore[union-attr]


def test_claims_that_stood_are_dropped_where_nothing_is_owned_any_more(tmp_path: Path) -> None:
    one = works(tmp_path, by_email, row(1, "a"))
    one.source.tables["users"].clear()
    with sqlite3.connect(one.store.directory / "ledger.db") as ledger:
        ledger.execute("DELETE FROM ledger")
    ledger.close()
    one.store.ledger.claim_standing(one.lease.epoch, one.generation, one.consumer, one.mapping.default_key)
    assert owners(one) == {}


def test_one_that_cannot_claim_what_it_stood_on_asks_the_target_first(tmp_path: Path) -> None:
    """Two that owned one key while neither claimed: the second may not remove the record of the first."""
    source = MemorySource(users=[row(1, "a")])
    target = MemoryTarget()
    one = Works(tmp_path, plain, source, target, claims=False)
    other = Works(tmp_path, _same, source, target, store=one.store, lease=one.lease, claims=False)
    for each in (one, other):
        each.ask()
        each.work()
    for each in (other, one):
        each.store.ledger.claim_standing(
            each.lease.epoch, each.generation, each.consumer, each.mapping.default_key
        )
    assert owners(one) == {K(1): (other.consumer, K(1))}
    assert one.store.ledger.rows(one.consumer, [K(1)])[K(1)].void
    assert not one.store.ledger.rows(other.consumer, [K(1)])[K(1)].void


def test_a_batch_is_claimed_in_few_statements(tmp_path: Path) -> None:
    """Not one for each key: a backfill of millions claims them all."""
    store = works(tmp_path).store
    consumer = store.generations.consumer("plain")
    assert consumer is not None
    epoch = store.draw_epoch()
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        wanted = [Intent(K(number), [K(f"t{number}")], []) for number in range(2_000)]
        rivals = [Intent(K(-1), [K("free"), K("t7")], []), Intent(K(-2), [K("free")], [])]
        place = (epoch, consumer.generation, consumer.id)
        refused = store.ledger.intend(*place, Version(1), [*wanted, *rivals], claiming=True)
        assert {key: (one.target_key, one.mapping, one.key) for key, one in refused.items()} == {
            K(-1): (K("t7"), "plain", K(7))
        }, "the first of a batch wins, and who wants two gets both or none"
        failures = [Failure(K(number), "claim", "e", "r", K(f"t{number}")) for number in range(-2_000, 0)]
        done = Settlement(consumer.id, Version(1), (), (), failures, (), (), {}, 0)
        assert len(store.ledger.settle(epoch, consumer.generation, done)) == 2_000
        released = [(K(f"t{number}"), K(number)) for number in range(2_000)]
        done = done._replace(failures=(), released=released)
        assert store.ledger.settle(epoch, consumer.generation, done) == []
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
    assert len(said) < 60
    with sqlite3.connect(store.directory / "ledger.db") as ledger:
        assert ledger.execute("SELECT target_key FROM claims").fetchall() == [(K("free"),)]
    ledger.close()
