"""The state store on SQLite and PostgreSQL: fencing, settling, migrations, what is said when it fails."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.database import Access
from lockstep.database.migrations import Migration, statements
from lockstep.engine.lease import Lease
from lockstep.errors import LeaseLost, StateError, StateInUse
from lockstep.forms import keys
from lockstep.place import Place, StateUrl
from lockstep.state import migrations
from lockstep.state.books import Unfenced
from lockstep.state.rows import Failure, Intent, Owned, Row, Settlement
from lockstep.state.settling import Scope
from lockstep.state.store import Store, exists
from lockstep.values import Fingerprint, Key, Lane, Stream, Version, source_stream, version


def K(value: object) -> Key:
    return keys.encode((value,))


def default(key: Key) -> Key:
    return key


PLACE = (source_stream("s"), Lane.LIVE)


def settlement(consumer: int, **said: Any) -> Settlement:
    blank = Settlement(consumer, Version(1), (), (), (), (), (), {}, 0)
    return blank._replace(**said)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    made = Store(place)
    epoch = made.draw_epoch()
    generation, _, _ = made.generations.begin(epoch, "t")
    assert (generation, made.generations.begin_consumer(epoch, "m", generation, "s", "1", "1")) == (1, 1)
    assert made.generations.begin_consumer(epoch, "n", generation, "s", "1", "1") == 2
    yield made
    made.close()


def intend(store: Store, epoch: int, consumer: int, number: int, *intents: Intent) -> dict[Key, Any]:
    return dict(store.ledger.intend(epoch, 1, consumer, version(epoch, number), list(intents), claiming=True))


in_files = pytest.mark.parametrize("place", ["files"], indirect=True)
WRITES: dict[str, Callable[[Store, int], object]] = {
    "intend": lambda store, epoch: intend(store, epoch, 1, 9, Intent(K(1), [K("t")], [])),
    "void_intents": lambda store, epoch: store.ledger.void_intents(epoch, 1, default),
    "settle": lambda store, epoch: store.ledger.settle(epoch, 1, settlement(1, rows=[Row(K(1), 5)])),
    "place": lambda store, epoch: store.positions.place(epoch, 1, {PLACE: {0: 5}}),
    "begin_at": lambda store, epoch: store.positions.begin_at(epoch, 1, "s", 5),
    "positions.forget": lambda store, epoch: store.positions.forget(epoch, 1),
    "due": lambda store, epoch: store.ledger.due(epoch, 1, 1e12, 10),
    "set_consumer": lambda store, epoch: store.generations.set_consumer(epoch, 1, state="stopped"),
    "know_identity": lambda store, epoch: store.generations.know_identity(epoch, 1, "x"),
    "note_claims": lambda store, epoch: store.generations.note_claims(epoch, 1, True),
    "note_journal": lambda store, epoch: store.note_journal(epoch, "s", []),
    "begin": lambda store, epoch: store.generations.begin(epoch, "t"),
    "adopt": lambda store, epoch: store.generations.adopt(epoch, "other", 3, "marker"),
    "generation_of": lambda store, epoch: store.generation_of(epoch, "unknown"),
    "begin_consumer": lambda store, epoch: store.generations.begin_consumer(epoch, "o", 1, "s", "1", "1"),
    "backfills.begin": lambda store, epoch: store.backfills.begin(epoch, 1, "why", 7),
    "backfills.finish": lambda store, epoch: store.backfills.finish(epoch, 1),
    "stuck.due": lambda store, epoch: store.stuck.due(epoch, 1, 1e12, 10),
    "claim_standing": lambda store, epoch: store.ledger.claim_standing(epoch, 1, 1, default),
}


def _everything(store: Store) -> dict[str, list[Any]]:
    names = ["ledger", "positions", "claims", "intents", "stuck", "tombstones", "consumers", "generations"]
    names += ["backfills", "meta"]
    with store._database.reading() as connection:
        return {
            name: list(connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY 1, 2")) for name in names
        }


@pytest.mark.parametrize("write", WRITES)
def test_an_older_epoch_writes_nothing(store: Store, write: str) -> None:
    epoch = store.draw_epoch()
    stuck = [Failure(K(8), "derive", "no", "mend")]
    store.ledger.settle(epoch, 1, settlement(1, rows=[Row(K(7), 1, due=1.0)], failures=stuck))
    store.backfills.ask(1, 5)
    before = _everything(store)
    newer = store.draw_epoch()
    with pytest.raises(LeaseLost):
        WRITES[write](store, epoch)
    assert _everything(store) == before
    WRITES[write](store, newer)


def test_epochs_only_grow(store: Store) -> None:
    first = store.draw_epoch()
    assert store.draw_epoch() > first
    assert store.draw_epoch(1_000) == 1_001
    assert store.draw_epoch() == 1_002


def test_who_works_builds_beside_the_run_ends_no_epoch_of_it(store: Store) -> None:
    run, build = store.draw_epoch(), store.draw_epoch(scope=Scope.BUILD)
    assert build > run
    store.require_newest(run)
    store.require_newest(build)
    newer = store.draw_epoch(scope=Scope.BUILD)
    with pytest.raises(LeaseLost):
        store.require_newest(build)
    store.require_newest(run)
    store.draw_epoch(held=run)
    with pytest.raises(LeaseLost):
        store.require_newest(run)
    store.require_newest(newer)


def test_a_draw_by_one_mapping_does_not_stop_its_neighbours(store: Store) -> None:
    """Epochs are drawn while other threads of this process write under the one before."""
    lease = Lease(store)
    lost: list[Exception] = []

    def write() -> None:
        for number in range(60):
            done = settlement(1, rows=[Row(K(number), 1)])
            try:
                lease.under(partial(store.ledger.settle, generation=1, done=done))
            except LeaseLost as error:
                lost.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        lease.redraw()
    thread.join()
    assert not lost
    store.draw_epoch()
    with pytest.raises(LeaseLost):
        lease.under(lambda epoch: store.ledger.settle(epoch, 1, settlement(1)))


def test_settling_is_all_or_nothing(store: Store) -> None:
    epoch = store.draw_epoch()
    intend(store, epoch, 1, 1, Intent(K(1), [K("t")], []))
    before = _everything(store)
    broken = Failure(K(2), None, "e", "r")  # type: ignore[arg-type]
    done = settlement(
        1, version=version(epoch, 1), rows=[Row(K(1), 5)], failures=[broken], positions={PLACE: {0: 5}}
    )
    with pytest.raises(StateError):
        store.ledger.settle(epoch, 1, done)
    assert _everything(store) == before


def test_settling_makes_everything_true(store: Store) -> None:
    epoch = store.draw_epoch()
    intend(store, epoch, 1, 1, Intent(K(1), [K("t")], []), Intent(K(3), [K("u")], []))
    row = Row(
        K(1),
        5,
        None,
        (Owned(K("t"), Fingerprint(5)), Owned(K("u"), None, Fingerprint(6))),
        -7,
        version(epoch, 1),
        False,
        3.5,
        b"h",
    )
    store.ledger.settle(epoch, 1, settlement(1, rows=[Row(K(2), 1), Row(K(9), 1)]))
    done = settlement(
        1,
        version=version(epoch, 1),
        rows=[row],
        removed=[K(2)],
        failures=[Failure(K(4), "claim", "taken", "wait", K("u"))],
        released=[(K("u"), K(3))],
        positions={PLACE: {3: 17}},
    )
    assert store.ledger.settle(epoch, 1, done) == [(1, K(4))]
    assert store.ledger.rows(1, [K(1), K(2)]) == {K(1): row}
    assert store.ledger.rows(2, [K(1)]) == {}
    assert store.positions.of(1) == {PLACE: {3: 17}}
    assert store.ledger.intended(1) == []
    assert store.ledger.keys(1, None, None, 10) == [K(1), K(9)]
    assert store.ledger.keys(1, K(1), K(9), 10) == [K(9)]
    assert [(one.key, one.claim, one.attempts) for one in store.stuck.of(1)] == [(K(4), K("u"), 1)]
    found = _everything(store)
    assert [(row[1], row[2]) for row in found["tombstones"]] == [(K(2), version(epoch, 1))]
    assert [row[1] for row in found["claims"]] == [K("t")]
    store.ledger.settle(epoch, 1, settlement(1, failures=[Failure(K(4), "write", "no", "mend")]))
    (one,) = store.stuck.of(1)
    assert (one.attempts, one.claim, one.error) == (2, None, "no")
    assert one.retry_at is not None
    assert store.stuck.due(epoch, 1, one.retry_at + 1, 10) == [K(4)]
    assert store.stuck.due(epoch, 1, one.retry_at + 1, 10) == []
    store.ledger.settle(epoch, 1, settlement(1, cleared=[K(4)]))
    assert store.stuck.count(1) == 0


def test_thousands_of_keys(store: Store) -> None:
    epoch = store.draw_epoch()
    rows = [Row(K(number), number) for number in range(4_000)]
    store.ledger.settle(epoch, 1, settlement(1, rows=rows))
    assert len(store.ledger.rows(1, [row.key for row in rows])) == 4_000
    assert [row.key for row in store.ledger.page(1, K(10), 3)] == [K(11), K(12), K(13)]
    store.ledger.settle(epoch, 1, settlement(1, removed=[row.key for row in rows]))
    assert store.ledger.count(1) == 0


@pytest.mark.parametrize("known", [[1], [2_000], [700, 701], []])
def test_of_many_keys_those_that_are_known(store: Store, known: list[int]) -> None:
    rows = [Row(K(number), number) for number in known]
    store.ledger.settle(1, 1, settlement(1, rows=[Row(K(0), 1), *rows, Row(K(2_001), 1)]))
    store.ledger.settle(1, 1, settlement(2, rows=[Row(K(1_000), 1)]))
    asked = [K(number) for number in range(2_000, 0, -1)]

    assert store.ledger.rows(1, asked) == {row.key: row for row in rows}
    assert store.ledger.rows(1, []) == {}


@pytest.mark.parametrize("step", [1, 4, 40])
def test_keys_that_lie_beside_each_other_and_far_apart(store: Store, step: int) -> None:
    """Few keys between those that are asked for, or many: only what was asked for is answered."""
    long = (Owned(K("t"), Fingerprint(5)), Owned(K("u"), None, Fingerprint(6), True))
    rows = {
        K(number): Row(
            K(number), number, -number, long if number % 7 else None, 2, Version(3), not number % 5
        )
        for number in range(40_000, 0, -13)
    }
    store.ledger.settle(1, 1, settlement(1, rows=list(rows.values())))
    store.ledger.settle(1, 1, settlement(2, rows=[Row(K(number)) for number in range(2_000)]))
    asked = [key for at, key in enumerate(rows) if at % step == 0 or (step < 10 and at % step != 1)]
    asked += [K(number) for number in range(700)]

    assert store.ledger.rows(1, asked) == {key: rows[key] for key in asked if key in rows}


def test_what_a_replaced_generation_left_is_forgotten(store: Store) -> None:
    epoch = store.draw_epoch()
    rows = [Row(K(number), 1) for number in range(6_000)]
    store.ledger.settle(epoch, 1, settlement(1, rows=rows, positions={PLACE: {0: 5}}))
    store.ledger.settle(epoch, 1, settlement(2, rows=rows[:3]))
    store.ledger.settle(epoch, 1, settlement(2, removed=[K(1)], failures=[Failure(K(2), "derive", "e", "r")]))
    store.generations.set_consumer(epoch, 2, state="retired")
    store.trim()
    assert (store.ledger.count(1), store.ledger.count(2)) == (6_000, 2), "one that rests may come back"
    store.generations.begin(epoch, "t")
    store.trim()
    found = _everything(store)
    assert [found[name] for name in ("ledger", "positions", "tombstones", "stuck")] == [[], [], [], []]


def test_voiding_keeps_what_is_known(store: Store) -> None:
    epoch = store.draw_epoch()
    short = Row(K(1), 5, 6, sum=9)
    long = Row(K(2), 1, None, (Owned(K("x"), Fingerprint(1)),))
    store.ledger.settle(epoch, 1, settlement(1, rows=[short, long]))
    intents = [Intent(K(1), [K("t")], []), Intent(K(2), [], [K("x")]), Intent(K(3), [K("n")], [])]
    intend(store, epoch, 1, 5, *intents)
    assert store.ledger.intended(1) == [K(1), K(2), K(3)]
    store.ledger.void_intents(epoch, 1, default)
    rows = store.ledger.rows(1, [K(1), K(2), K(3)])
    assert all(row.void for row in rows.values())
    assert rows[K(1)].targets == (Owned(K(1), Fingerprint(5), Fingerprint(6)), Owned(K("t")))
    assert rows[K(2)].targets == (Owned(K("x")),), "what was last sent is not"
    assert rows[K(3)].targets == (Owned(K("n")),)
    assert rows[K(1)].sum == 9
    assert store.ledger.intended(1) == []


def test_claims_between_two_consumers(store: Store) -> None:
    epoch = store.draw_epoch()
    assert intend(store, epoch, 1, 1, Intent(K(1), [K("t"), K("u")], [])) == {}
    assert intend(store, epoch, 1, 2, Intent(K(1), [K("t")], [])) == {}, "what is mine is mine"
    refused = intend(store, epoch, 2, 3, Intent(K(1), [K("v"), K("t")], [K("w")]), Intent(K(2), [K("x")], []))
    assert [(one.target_key, one.consumer, one.key) for one in refused.values()] == [(K("t"), 1, K(1))]
    assert {row[1] for row in _everything(store)["claims"]} == {K("t"), K("u"), K("x")}
    failure = Failure(K(1), "claim", "e", "r", K("t"))
    assert store.ledger.settle(epoch, 1, settlement(2, failures=[failure])) == []
    assert store.ledger.settle(epoch, 1, settlement(2, released=[(K("t"), K(1))])) == [(2, K(1))]
    assert K("t") in {row[1] for row in _everything(store)["claims"]}, "only its owner gives a claim up"
    assert store.ledger.settle(epoch, 1, settlement(1, released=[(K("t"), K(1))])) == [(2, K(1))]
    assert intend(store, epoch, 2, 4, Intent(K(1), [K("v"), K("t")], [])) == {}


@in_files
def test_the_directory_is_its_owner_s_alone(store: Store) -> None:
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    for name in ("journal.db", "ledger.db"):
        assert stat.S_IMODE((store.directory / name).stat().st_mode) == 0o600


def test_a_second_run_is_told_who_holds_it(store: Store) -> None:
    script = (
        "import sys; from lockstep.place import place_of; from lockstep.state.store import Store\n"
        "store = Store(place_of(sys.argv[1])); store.lock.take(); print('held', flush=True); sys.stdin.read()"
    )
    where = store.place.url if isinstance(store.place, StateUrl) else str(store.place)
    command = [sys.executable, "-c", script, where]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert f"process {holder.pid}" in (store.lock.holder() or "")
        with pytest.raises(StateInUse, match=f"process {holder.pid}") as error:
            store.lock.take()
        assert "Stop that run" in error.value.remedy
        holder.kill()
    assert store.lock.holder() is None
    store.lock.take()


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    with store._database.unfenced(Unfenced.PERSON) as connection:
        connection.exec_driver_sql("INSERT INTO migrations VALUES ('9999_future', 0)")
    for access in Access:
        with pytest.raises(StateError, match=r"newer Lockstep .*9999_future") as error:
            Store(store.place, access)
        assert "Run that version" in error.value.remedy


@pytest.mark.parametrize("access", [Access.LOOK, Access.CHANGE])
def test_who_looks_does_not_bring_a_store_up_to_date(
    store: Store, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older run may still work on it."""
    later = Migration("0099_later", statements("CREATE TABLE later (a INTEGER)"))
    monkeypatch.setattr(migrations, "LEDGER", (*migrations.LEDGER, later))
    with pytest.raises(StateError, match=r"older Lockstep .*0099_later") as error:
        Store(store.place, access)
    assert "`lockstep run`" in error.value.remedy
    with store._database.reading() as connection:
        assert not sa.inspect(connection).has_table("later")
    Store(store.place).close()
    Store(store.place, access).close()


def test_who_looks_makes_nothing(place: Place) -> None:
    assert not exists(place)
    with pytest.raises(StateError):
        Store(place, Access.LOOK)
    assert not exists(place)
    assert not isinstance(place, Path) or not place.exists()


@in_files
@pytest.mark.parametrize("name", ["ledger.db", "journal.db"])
def test_a_damaged_file_is_named_with_what_to_do(store: Store, name: str) -> None:
    store.close()
    for rest in ("-wal", "-shm"):
        (store.directory / f"{name}{rest}").unlink(missing_ok=True)
    (store.directory / name).write_bytes(b"no database at all " * 500)
    with pytest.raises(StateError, match="not a database") as error:
        Store(store.directory)
    assert {"ledger.db": "put back a copy", "journal.db": "Nothing is lost"}[name] in error.value.remedy
    assert name in error.value.remedy


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError) as error:
        Store(tmp_path / "file" / "state")
    assert "--state" in error.value.remedy


def test_it_opens_again(store: Store) -> None:
    epoch = store.draw_epoch()
    store.ledger.settle(epoch, 1, settlement(1, rows=[Row(K(1), 5)]))
    names = (store.identity, store.journal.identity)
    store.close()
    again = Store(store.place)
    assert (again.identity, again.journal.identity) == names
    assert again.draw_epoch() == epoch + 1
    assert again.ledger.rows(1, [K(1)]) == {K(1): Row(K(1), 5)}
    assert [one.mapping for one in again.generations.consumers()] == ["m", "n"]
    assert Stream("source:s") == source_stream("s")
    again.close()


def test_claims_of_a_standing_intent_outlive_the_claiming_of_what_stands(store: Store) -> None:
    """A crash came after the write and before the ledger: only the intent knows the record."""
    epoch = store.draw_epoch()
    intend(store, epoch, 1, 1, Intent(K(1), [K("t")], []))
    store.ledger.claim_standing(epoch, 1, 1, default)
    assert list(intend(store, epoch, 2, 2, Intent(K(5), [K("t")], []))) == [K(5)]
