"""One owner per target key: who waits, who is told, and what is never left behind."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.declaration.mapping import Keyed
from lockstep.place import Place
from lockstep.state.rows import Failure, Intent, Settlement
from lockstep.values import Key, Status, Version
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, Row
from tests.unit.test_loop import K, User, by_email, parts, plain, row, works


def owners(one: Works) -> dict[Key, tuple[int, Key]]:
    with one.store._database.reading() as ledger:
        found = ledger.exec_driver_sql("SELECT target_key, consumer, key FROM claims").all()
    return {target_key: (consumer, key) for target_key, consumer, key in found}


def claims(one: Works) -> dict[Key, Key]:
    return {target_key: key for target_key, (_, key) in owners(one).items()}


@pytest.mark.parametrize("order", list(permutations(range(2))))
@pytest.mark.parametrize("together", [True, False])
def test_one_gives_up_a_key_and_another_takes_it(
    place: Place, order: tuple[int, ...], together: bool
) -> None:
    one = works(place, by_email, row(1, "t"), row(2, "u"))
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
def test_keys_go_round_in_a_ring(place: Place, order: tuple[int, ...]) -> None:
    """a → b → c → a: each wants what another still owns, and nobody derives it any more."""
    one = works(place, by_email, row(1, "a"), row(2, "b"), row(3, "c"))
    changes = [(row(1, "a"), row(1, "b")), (row(2, "b"), row(2, "c")), (row(3, "c"), row(3, "a"))]
    for at in order:
        one.change("users", *changes[at])
    one.work()
    assert one.held() == {K("b"): {"user": 1}, K("c"): {"user": 2}, K("a"): {"user": 3}}
    assert claims(one) == {K("b"): K(1), K("c"): K(2), K("a"): K(3)}
    assert not one.stuck()


def test_two_that_derive_one_key(place: Place) -> None:
    one = works(place, by_email, row(1, "t"), row(2, "t"))
    assert one.held() == {K("t"): {"user": 1}}
    assert one.stuck()[K(2)] == "target key t belongs to by_email key 1, and by_email key 2 derives it too"
    _load(one)
    assert one.held() == {K("t"): {"user": 1}}, "and they do not overwrite each other"
    one.change("users", row(1, "t"), None)
    one.work()
    assert one.held() == {K("t"): {"user": 2}}
    assert not one.stuck()


def test_the_one_that_waits_does_not_take_its_old_record_along(place: Place) -> None:
    one = works(place, by_email, row(1, "t"), row(2, "u"))
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


def test_several_records_one_of_them_taken(place: Place) -> None:
    one = works(place, parts, row(1, "a,b"), row(2, "c,d"))
    one.change("users", row(2, "c,d"), row(2, "b,c,e"))
    one.work()
    assert K(2) in one.stuck()
    assert K("d") not in one.held()
    one.change("users", row(1, "a,b"), row(1, "a"))
    one.work()
    assert claims(one) == {K("a"): K(1), K("b"): K(2), K("c"): K(2), K("e"): K(2)}
    assert one.held() == {
        target_key: {"user": 1 if target_key == K("a") else 2} for target_key in claims(one)
    }
    assert not one.stuck()


def test_a_rejected_record_holds_no_claim_for_ever(place: Place) -> None:
    one = works(place, by_email)
    one.target.writer.answer = lambda change: Status.REJECTED
    one.change("users", None, row(1, "t"))
    one.work()
    one.target.writer.answer = lambda change: None
    one.change("users", row(1, "t"), row(1, "u"))
    one.change("users", None, row(2, "t"))
    one.work()
    assert one.held() == {K("u"): {"user": 1}, K("t"): {"user": 2}}
    assert claims(one) == {K("u"): K(1), K("t"): K(2)}


def test_a_crash_between_claim_and_write_leaves_no_claim(place: Place) -> None:
    one = works(place, by_email)

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


def _same(user: User) -> dict[str, object]:
    return plain(user)


def by_mail(user: User) -> list[Keyed]:
    return parts(user)


def _beside(one: Works, function: Any, *, claims: bool = True) -> Works:
    return Works(
        one.store.place, function, one.source, one.target, store=one.store, lease=one.lease, claims=claims
    )


def _load(*all_of: Works) -> None:
    for one in all_of:
        one.ask()
        one.work()


def _stand(one: Works) -> None:
    one.store.ledger.claim_standing(one.lease.epoch, one.generation, one.consumer, one.mapping.default_key)


def _mapping(one: Works, key: Key) -> str:
    meta = one.target.writer.records[key].meta
    assert meta is not None
    return meta.mapping


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_mappings_on_one_target(place: Place, order: tuple[int, ...]) -> None:
    """One keys its records by e-mail, the other by id: they meet at 7."""
    source = MemorySource(users=[row(7, "x"), {"id": 8, "email": 7}])
    one = Works(place, by_email, source, MemoryTarget(), claims=True)
    pair = (one, _beside(one, _same))
    first, second = (pair[at] for at in order)
    _load(first, second)
    assert not first.stuck()
    assert len(second.stuck()) == 1
    assert _mapping(one, K(7)) == first.mapping.name
    freed: list[tuple[Row, Row]] = [({"id": 8, "email": 7}, row(8, "y")), (row(7, "x"), row(6, "x"))]
    first.change("users", *freed[order[0]])
    first.work()
    second.work()
    assert not second.stuck()
    assert _mapping(one, K(7)) == second.mapping.name


def test_a_second_mapping_finds_the_keys_of_the_first_claimed(place: Place) -> None:
    """While it was alone its records, at the source key, needed no claims."""
    alone = works(place, plain, row(7, "x"), {"id": 8, "email": 7}, claims=False)
    first = _beside(alone, plain)
    _stand(first)
    second = _beside(alone, by_email)
    _load(second)
    assert _mapping(first, K(7)) == "plain"
    assert K(8) in second.stuck()
    first.change("users", row(7, "x"), None)
    first.work()
    second.work()
    assert _mapping(first, K(7)) == "by_email"


def _renamed(one: Works, function: Any) -> Works:
    """As after a start of a pipeline that no longer declares the mapping, and another one in its place."""
    one.store.generations.set_consumer(one.lease.epoch, one.consumer, state="retired")
    one.lease.redraw()
    made = _beside(one, function)
    _load(made)
    return made


def test_a_renamed_mapping_takes_over_the_claims_of_its_old_name(place: Place) -> None:
    new = _renamed(works(place, parts, row(1, "a,b"), row(2, "c")), by_mail)
    assert not new.stuck()
    assert {_mapping(new, key) for key in new.held()} == {"by_mail"}
    mine = new.consumer
    assert owners(new) == {K("a"): (mine, K(1)), K("b"): (mine, K(1)), K("c"): (mine, K(2))}
    new.change("users", row(1, "a,b"), row(1, "a"))
    new.change("users", row(2, "c"), row(2, "b"))
    new.work()
    assert new.held() == {K("a"): {"user": 1}, K("b"): {"user": 2}}
    assert not new.stuck()


def test_the_old_name_that_comes_back_leaves_what_was_taken_over(place: Place) -> None:
    """Its ledger says that it owns them: it must look at the target before it removes any."""
    old = works(place, parts, row(1, "a"), row(2, "b"))
    new = _renamed(old, by_mail)
    old.store.generations.set_consumer(old.lease.epoch, old.consumer, state="running")
    old.source.tables["users"][:] = [row(1, "b"), row(2, "a")]
    _load(new)
    old.begin()
    _load(old)
    assert old.held() == {K("b"): {"user": 1}, K("a"): {"user": 2}}
    assert {_mapping(new, key) for key in new.held()} == {"by_mail"}
    assert old.stuck()[K(1)] == "target key b belongs to by_mail key 1, and parts key 1 derives it too"


def test_a_phase_without_claims_leaves_no_stale_ones(place: Place) -> None:
    one = works(place, plain, row(5, "x"), row(6, "y"), claims=True)
    other = _beside(one, by_email)
    _load(other)
    one.store.generations.set_consumer(one.lease.epoch, other.consumer, state="retired")
    alone = _beside(one, plain, claims=False)
    alone.change("users", row(5, "x"), None)
    alone.change("users", None, {"id": "x", "email": "z"})
    alone.work()
    assert K(5) not in alone.held()
    _stand(alone)
    mine, theirs = one.consumer, other.consumer
    assert owners(one) == {K(6): (mine, K(6)), K("x"): (mine, K("x")), K("y"): (theirs, K(6))}
    one.store.generations.set_consumer(one.lease.epoch, other.consumer, state="running")
    other.begin()
    other.change("users", None, {"id": 9, "email": 5})
    other.work()
    assert not other.stuck(), "nobody derives 5 any more"
    assert (_mapping(one, K("x")), _mapping(one, K(5))) == ("plain", "by_email")


def test_claims_of_one_that_owns_nothing_any_more_are_dropped(place: Place) -> None:
    one = works(place, by_email, row(1, "a"))
    gone = Settlement(one.consumer, Version(1), (), [K(1)], (), (), (), {}, 0)
    one.store.ledger.settle(one.lease.epoch, one.generation, gone)
    _stand(one)
    assert owners(one) == {}


def test_one_that_cannot_claim_what_it_owned_asks_the_target_first(place: Place) -> None:
    one = works(place, plain, row(1, "a"), claims=False)
    other = _beside(one, _same, claims=False)
    _load(other)
    _stand(other)
    _stand(one)
    assert owners(one) == {K(1): (other.consumer, K(1))}
    assert one.store.ledger.rows(one.consumer, [K(1)])[K(1)].void
    assert not one.store.ledger.rows(other.consumer, [K(1)])[K(1)].void


def test_a_batch_is_claimed_in_few_statements(place: Place) -> None:
    """Not one for each key: a backfill of millions claims them all."""
    one = works(place, by_email)
    ledger, epoch = one.store.ledger, one.lease.epoch
    statements: list[object] = []

    def hear(*said: object) -> None:
        statements.append(said[2])

    some = [(K(f"t{number}"), K(number)) for number in range(2_000)]
    wanted = [Intent(key, [target_key], []) for target_key, key in some]
    wanted += [Intent(K(-1), [K("free"), K("t7")], []), Intent(K(-2), [K("free")], [])]
    failures = [Failure(K(number), "claim", "e", "r", K(f"f{number}")) for number in range(2_000)]
    failed = Settlement(one.consumer, Version(1), (), (), failures, (), (), {}, 0)
    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        refused = ledger.intend(epoch, one.generation, one.consumer, Version(1), wanted, claiming=True)
        assert len(ledger.settle(epoch, one.generation, failed)) == 2_000
        ledger.settle(epoch, one.generation, failed._replace(failures=(), released=some))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
    assert len(statements) < 60
    assert {key: (taken.target_key, taken.key) for key, taken in refused.items()} == {K(-1): (K("t7"), K(7))}
    assert claims(one) == {K("free"): K(-2)}, "the first wins, and who wants two gets both or none"
