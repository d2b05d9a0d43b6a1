"""A key changes while a batch that holds it is on its way: whatever the stage, the last state wins."""

from __future__ import annotations

from pathlib import Path

import pytest

import lockstep.declaration.model as ls
from lockstep.declaration.mapping import Keyed
from lockstep.forms import keys
from lockstep.values import Key, Status, Trust
from tests.interleavings.points import STAGES, Crash, at, crash
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, Row


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str


def plain(user: User) -> dict[str, object]:
    return {"email": user.email}


def by_email(user: User) -> Keyed | None:
    return Keyed(user.email, {"user": user.id}) if user.email else None


def K(*values: object) -> Key:
    return keys.encode(values)


def row(id: int, email: str) -> Row:
    return {"id": id, "email": email}


def begun(path: Path, *rows: Row, function: object = plain, limit: int = 100) -> Works:
    source = MemorySource(users=list(rows))
    made = Works(path, function, source, MemoryTarget(), limit=limit)  # type: ignore[arg-type]
    made.ask()
    made.work()
    return made


def agrees(one: Works) -> bool:
    """Target and ledger say what the source says, and nothing is in doubt."""
    wanted = {K(row["id"]): {"email": row["email"]} for row in one.source.tables["users"]}
    rows = one.store.ledger.page(one.consumer, None, 1000)
    known = {row.key for row in rows if row.sent is not None and not row.void}
    return one.held() == wanted and known == set(wanted) and not one.stuck()


@pytest.mark.parametrize("stage", STAGES)
def test_there_and_back_with_two_batches_in_flight(tmp_path: Path, stage: str) -> None:
    """A→B is on its way when B→A is hinted. To derive A against a ledger that still says A writes nothing."""
    one = begun(tmp_path, row(1, "A"), row(2, "x"))
    one.change("users", row(1, "A"), row(1, "B"))
    with at(stage, lambda: one.change("users", row(1, "B"), row(1, "A"))):
        one.work()
    assert agrees(one)


@pytest.mark.parametrize("stage", STAGES)
def test_there_and_back_around_a_crash(tmp_path: Path, stage: str) -> None:
    one = begun(tmp_path, row(1, "A"), row(2, "x"))
    one.change("users", row(1, "A"), row(1, "B"))
    with at(stage, crash), pytest.raises(Crash):
        one.work()
    one.change("users", row(1, "B"), row(1, "A"))
    one.restart()
    one.work()
    assert agrees(one)


@pytest.mark.parametrize("stage", STAGES)
def test_a_row_that_comes_and_goes_around_a_crash(tmp_path: Path, stage: str) -> None:
    """The record is written, nobody has noted it, and the row is gone: a ghost that nobody owns."""
    one = begun(tmp_path, row(1, "A"))
    one.change("users", None, row(7, "new"))
    with at(stage, crash), pytest.raises(Crash):
        one.work()
    one.change("users", row(7, "new"), None)
    one.restart()
    one.work()
    assert agrees(one)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("passing", [1, 2, 4])
def test_a_span_and_live_writes(tmp_path: Path, stage: str, passing: int) -> None:
    """The span's keys were listed before; what it derives, and what it takes for gone, is as of now."""
    one = begun(tmp_path, *(row(id, "v0") for id in range(1, 9)), limit=2)
    one.source.tables["users"] = [row(id, "v1") for id in range(1, 9) if id != 5]  # nobody hinted that

    def meanwhile() -> None:
        for before, after in (
            (None, row(0, "new")),
            (None, row(5, "again")),
            (None, row(99, "new")),
            (row(2, "v1"), row(2, "v2")),
            (row(3, "v1"), None),
            (row(7, "v1"), row(70, "moved")),
            (row(8, "v1"), None),
        ):
            one.change("users", before, after)
        one.change("users", None, row(8, "back"))

    one.ask()
    with at(stage, meanwhile, passing):
        one.work()
    assert agrees(one)


def test_a_bulk_batch_is_not_older_than_a_live_one(tmp_path: Path) -> None:
    """Versions are drawn from one counter whatever the lane, before the source is read."""
    one = begun(tmp_path, *(row(id, "v1") for id in range(1, 7)), limit=2)
    one.source.tables["users"] = [row(id, "v2") for id in range(1, 7)]
    one.ask()
    one.loop.step()  # the span: its keys wait in the bulk lane
    one.loop.step()
    for turn in range(3, 9):
        one.change("users", row(1, f"v{turn - 1}"), row(1, f"v{turn}"))
        one.loop.step()
    one.work()
    assert agrees(one)
    versions = [change.meta.version for change in one.target.writer.written]
    assert versions == sorted(versions)
    assert one.held()[K(1)] == {"email": "v8"}


def test_a_doubled_hint_is_idle_and_a_redelivered_one_carries_a_new_version(tmp_path: Path) -> None:
    one = begun(tmp_path, row(1, "A"))
    one.change("users", row(1, "A"), row(1, "B"))
    with at("written", crash), pytest.raises(Crash):
        one.work()
    (_, first) = one.target.writer.written
    one.source.tables["users"] = [row(1, "C")]  # newer than when the hint was first worked
    one.restart()
    one.work()
    again = one.target.writer.written[-1]
    assert agrees(one)
    assert again.meta.version > first.meta.version
    written = len(one.target.writer.written)
    one.ask(K(1))
    one.ask(K(1))
    one.work()
    assert len(one.target.writer.written) == written


@pytest.mark.parametrize("fewer", [True, False])
def test_another_number_of_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fewer: bool) -> None:
    """A key that moves to a partition without a past is neither skipped nor worked from the beginning."""
    monkeypatch.setattr("tests.support.engine.PARTITIONS", 64 if fewer else 8)
    one = begun(tmp_path, *(row(id, "v1") for id in range(1, 9)))
    for id in range(1, 9):
        one.change("users", row(id, "v1"), row(id, "v2"))
    one.work()
    for id in range(1, 9):
        one.change("users", row(id, "v2"), row(id, "v3"))
    monkeypatch.setattr("tests.support.engine.PARTITIONS", 8 if fewer else 64)
    one.restart()
    assert sum(counts.hints for counts in one.work()) == 8, "those that waited, and no others"
    assert agrees(one)


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.SUPERSEDED, Status.REJECTED])
@pytest.mark.parametrize("then", ["A", "B", "C", None])
def test_a_bad_outcome_and_what_comes_next(
    tmp_path: Path, status: Status, lands: bool, then: str | None
) -> None:
    """Ledger A, B sent. Rejected leaves what was known, the others leave doubt; the next one heals."""
    one = begun(tmp_path, row(1, "A"), row(2, "x"))
    writer = one.target.writer
    writer.answer = lambda change: status if change.key == K(1) else None
    writer.lands = lambda change: lands and status is not Status.REJECTED
    one.change("users", row(1, "A"), row(1, "B"))
    one.change("users", row(2, "x"), row(2, "y"))
    one.work()
    (known,) = one.store.ledger.rows(one.consumer, [K(1)]).values()
    assert known.void == (status is not Status.REJECTED)
    assert list(one.stuck()) == [K(1)]
    writer.answer = lambda change: None
    one.change("users", row(1, "B"), then and row(1, then))  # type: ignore[arg-type]
    one.work()
    if then == "B":  # as a retry would
        one.ask(K(1))
        one.work()
    assert agrees(one)


def test_an_edit_behind_our_back_is_found_by_who_asks_the_target(tmp_path: Path) -> None:
    one = begun(tmp_path, row(1, "A"), row(2, "x"))
    held = one.target.writer.records
    held[K(1)] = type(held[K(1)])(K(1), {"email": "edited"}, held[K(1)].meta)
    del held[K(2)]
    one.ask()
    one.work()
    assert not agrees(one), "an ordinary hint trusts the ledger, or every change would cost a read"
    one.ask(trust=Trust.TARGET)
    one.work()
    assert agrees(one)


@pytest.mark.parametrize("stage", STAGES)
def test_two_keys_that_exchange_their_record_again_and_again(tmp_path: Path, stage: str) -> None:
    """Hot claims: a gives the address up, b takes it, while the one before is on its way."""
    one = begun(tmp_path, row(1, "a"), row(2, "b"), function=by_email)
    now = {1: "a", 2: "b"}

    def exchange() -> None:
        one.change("users", row(1, now[1]), row(1, now[2]))
        one.change("users", row(2, now[2]), row(2, now[1]))
        now[1], now[2] = now[2], now[1]

    for passing in (1, 2, 1):
        exchange()
        with at(stage, exchange, passing):
            one.work()
    assert one.held() == {K(now[1]): {"user": 1}, K(now[2]): {"user": 2}}
    assert not one.stuck()


HANDED = [
    (stage, order) for stage in STAGES for order in ((1, 2), (2, 1)) if (stage, order) != ("written", (2, 1))
]


@pytest.mark.parametrize(("stage", "order"), HANDED)
def test_an_address_handed_over_while_it_is_on_its_way(
    tmp_path: Path, stage: str, order: tuple[int, int]
) -> None:
    one = begun(tmp_path, row(1, "t"), row(2, ""), function=by_email, limit=1)
    steps = {1: (row(1, "t"), row(1, "")), 2: (row(2, ""), row(2, "t"))}
    one.change("users", *steps[order[0]])
    with at(stage, lambda: one.change("users", *steps[order[1]])):
        one.work()
    assert one.held() == {K("t"): {"user": 2}}
    assert not one.stuck()
