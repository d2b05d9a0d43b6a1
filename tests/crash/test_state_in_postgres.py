"""A state store in PostgreSQL under a run: killed at stages, cut off, down, and lost to another run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.database import Access
from lockstep.database.postgres import connect
from lockstep.engine.lease import Lease
from lockstep.errors import LeaseLost, StateError, StateInUse, StateUnreachable
from lockstep.forms import keys
from lockstep.place import StateUrl, place_of
from lockstep.state.books import Unfenced
from lockstep.state.rows import Row, Settlement
from lockstep.state.session_lock import SessionLock
from lockstep.state.store import Store
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import PostgresHandle, PostgresServer
from lockstep.values import Entry, FeedMark, Hint, Lane, Version, source_stream
from tests.pairs.changes import CHANGES
from tests.pairs.world import SCHEMA, Following, World, until


@pytest.fixture
def state_url(postgres_server: PostgresHandle) -> Iterator[str]:
    """A database of its own for the state store."""
    with postgres_server.temporary_database() as url:
        yield url


@pytest.fixture
def store(state_url: str) -> Iterator[Store]:
    made = Store(StateUrl(state_url))
    epoch = made.draw_epoch()
    generation, _, _ = made.generations.begin(epoch, "t")
    made.generations.begin_consumer(epoch, "m", generation, "s", "1", "1")
    yield made
    made.close()


def made_world(tmp_path: Path, url: str, state: str) -> World:
    world = World(tmp_path, url, f"sql|{tmp_path / 'out'}|people", state)
    world.do(*SCHEMA.strip().rstrip(";").split(";"))
    return world


def settled(*rows: Row) -> Settlement:
    return Settlement(1, Version(1), rows, (), (), (), (), {}, 0)


@pytest.mark.parametrize("point", ["intended", "written", "journalled"])
def test_kill_at_every_stage(tmp_path: Path, postgres_url: str, state_url: str, point: str) -> None:
    world = made_world(tmp_path, postgres_url, state_url)
    if point != "journalled":
        assert world.spawn(crash=f"{point}:1").wait(60) == -9
    world.run()
    world.do(*CHANGES["child"])
    assert world.spawn(crash=point).wait(60) == -9
    world.do(*CHANGES["links"])
    world.run()
    world.assert_agreement()


def test_down_for_a_while(tmp_path: Path, postgres_url: str, private_postgres: PostgresServer) -> None:
    """The run waits, says for what, and converges; others read meanwhile and before."""
    world = made_world(tmp_path, postgres_url, private_postgres.database())
    with Following(world) as following:
        until(lambda: len(world.actual_or_none()) == 60, 60)
        place = place_of(world.state)
        assert "process" in (ls.status(place).running or "")
        private_postgres.kill()
        world.do(*CHANGES["child"])
        time.sleep(2)
        with pytest.raises(StateUnreachable) as error:
            ls.status(place)
        assert "again" in error.value.remedy
        world.do(*CHANGES["links"])
        private_postgres.start()
        until(lambda: world.actual() == world.expected(), 90)
        until(lambda: "process" in (ls.status(place).running or ""), 30)
    assert following.result is not None
    assert following.result.stopped == {}
    world.assert_agreement()


def test_a_run_that_lost_its_session_to_another_writes_nothing_more(store: Store, state_url: str) -> None:
    store.lock.take()
    lease = Lease(store)
    with Another(state_url) as other:
        holder = other.lock.holder() or ""
        assert "process" in holder
        with pytest.raises(StateInUse, match="in use by"):
            other.lock.take()
        with psycopg.connect(state_url, autocommit=True) as admin:
            query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            assert admin.execute(query).fetchone() == (True,)
        other.lock.take()
        newer = Lease(other)
        with pytest.raises(LeaseLost):
            lease.under(lambda epoch: store.ledger.settle(epoch, 1, settled(Row(keys.encode((1,)), 5))))
        with pytest.raises(LeaseLost):
            store.generations.set_consumer(lease.epoch, 1, state="stopped")
        assert other.ledger.count(1) == 0
        with pytest.raises(StateInUse):
            store.lock.confirm()
        newer.under(lambda epoch: other.ledger.settle(epoch, 1, settled(Row(keys.encode((1,)), 5))))
        assert [one.state for one in other.generations.consumers()] == ["running"]


def test_a_session_that_was_lost_to_nobody_is_taken_again(store: Store, state_url: str) -> None:
    store.lock.take()
    with psycopg.connect(state_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
    with Another(state_url) as other:
        assert other.lock.holder() is None
        store.lock.confirm()
        assert "process" in (other.lock.holder() or "")


def test_a_session_that_only_the_server_still_has_is_waited_for(store: Store, state_url: str) -> None:
    """The cable was cut, and the server has not noticed: the lock is held by ourselves."""
    with Another(state_url) as lost:
        lost.lock.take()
        assert isinstance(store.lock, SessionLock)
        assert isinstance(lost.lock, SessionLock)
        store.lock._shown = lost.lock._shown
        store.lock._session = connect(StateUrl(state_url), "lockstep_ledger")
        store.lock._session.close()
        with pytest.raises(StateUnreachable, match="we lost"):
            store.lock.confirm()
    store.lock.confirm()
    with Another(state_url) as other, pytest.raises(StateInUse):
        other.lock.take()


def test_an_epoch_is_not_drawn_beside_a_write_under_the_one_before(store: Store, state_url: str) -> None:
    """Else the older one could commit after the newer one was drawn."""
    order: list[str] = []
    began = threading.Event()

    def write() -> None:
        with store._database.unfenced(Unfenced.PERSON) as connection:
            connection.exec_driver_sql("SELECT 1")
            began.set()
            time.sleep(1)
            order.append("written")

    with Another(state_url) as other:
        thread = threading.Thread(target=write)
        thread.start()
        began.wait(30)
        other.draw_epoch()
        order.append("drawn")
        thread.join()
    assert order == ["written", "drawn"]


def test_offsets_are_committed_in_order(store: Store, state_url: str) -> None:
    """A reader that has seen an offset never misses a smaller one that commits later."""
    hint = (Hint("t", key=keys.encode((1,))),)
    stop = threading.Event()

    def append(to: Store) -> None:
        while not stop.is_set():
            to.journal.append([Entry(source_stream("s"), Lane.LIVE, 0, hint)] * 5, FeedMark("s", "1", "i"))

    with Another(state_url) as other, Another(state_url) as reader:
        threads = [threading.Thread(target=append, args=(one,)) for one in (store, other)]
        for thread in threads:
            thread.start()
        seen: list[int] = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            after = {0: seen[-1] if seen else 0}
            seen += [entry.offset for entry in reader.journal.read(source_stream("s"), Lane.LIVE, after, 50)]
        stop.set()
        for thread in threads:
            thread.join()
        there = [one.offset for one in reader.journal.read(source_stream("s"), Lane.LIVE, {0: 0}, 10**9)]
    assert len(seen) > 50
    assert seen == there[: len(seen)]
    assert reader.journal.identity == store.journal.identity


def test_commits_are_durable_whatever_the_user_has_set(
    store: Store, state_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = urlsplit(state_url).path[1:]
    with psycopg.connect(state_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database} SET synchronous_commit = off".encode())
        (shown,) = admin.execute("SHOW synchronous_commit").fetchone() or ("",)
    with Another(state_url) as other, other._database.unfenced(Unfenced.PERSON) as connection:
        assert "fsync = off" in caplog.text, "the test servers run so"
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    assert shown in ("on", "off")


def test_keys_lie_in_the_order_of_their_bytes(store: Store) -> None:
    wanted = sorted(
        keys.encode((value,)) for value in (b"", b"\0", b"\xff", "é", "z", -1, 2**70, 1.5, True, "Z", "_")
    )
    epoch = store.draw_epoch()
    store.ledger.settle(epoch, 1, settled(*(Row(key, 1) for key in reversed(wanted))))
    assert store.ledger.keys(1, None, None, 99) == wanted
    assert store.ledger.keys(1, wanted[2], wanted[5], 99) == wanted[3:6]


def test_no_secret_is_shown(state_url: str) -> None:
    secret = urlsplit(state_url).password or ""
    place = place_of(state_url)
    texts = [str(place), repr(place), str(ls.Pipeline("p", state=state_url).state)]
    for wrong in (state_url + "_not_there", state_url.replace("@127", "x@127"), f"{state_url}?bad=1"):
        with pytest.raises(ls.LockstepError) as error:
            Store(StateUrl(wrong))
        texts += [str(error.value), error.value.remedy]
    assert all(secret not in text for text in texts), texts


def test_what_is_said_when_it_cannot_be_used(state_url: str, store: Store) -> None:
    with pytest.raises(StateUnreachable, match="refused"):
        Store(StateUrl("postgresql://nobody@127.0.0.1:1/x"))
    with pytest.raises(ls.DeclarationError, match="mysql"):
        place_of("mysql://a/b")
    assert isinstance(place_of("state/here"), Path)
    database = urlsplit(state_url).path[1:]
    with psycopg.connect(state_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on".encode())
    with Another(state_url, Access.LOOK) as other, pytest.raises(StateError) as error:
        other.draw_epoch()
    assert "primary" in error.value.remedy
    with psycopg.connect(state_url, autocommit=True) as admin:
        admin.execute("SET default_transaction_read_only = off")
        admin.execute("DROP SCHEMA lockstep_ledger CASCADE")
    with pytest.raises(StateError) as error:
        store.ledger.count(1)
    assert "backup" in error.value.remedy


@pytest.mark.parametrize("part", ["ledger", "journal"])
def test_a_lost_half_heals(tmp_path: Path, postgres_url: str, state_url: str, part: str) -> None:
    world = made_world(tmp_path, postgres_url, state_url)
    world.run()
    world.do(*CHANGES["child"], "DELETE FROM users WHERE id = 40")
    with psycopg.connect(state_url, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA lockstep_{part} CASCADE".encode())
    world.run()
    world.assert_agreement()
    world.do(*CHANGES["links"], "DELETE FROM users WHERE id = 41")
    world.run()
    world.assert_agreement()


def test_a_cut_cable_is_waited_out(tmp_path: Path, postgres_url: str, state_url: str) -> None:
    parts = urlsplit(state_url)
    proxy = Proxy("127.0.0.1", parts.port or 0)
    there = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
    world = made_world(tmp_path, postgres_url, there)
    with Following(world) as following:
        until(lambda: len(world.actual_or_none()) == 60, 60)
        for statements in CHANGES.values():
            world.do(*statements)
            proxy.cut()
            time.sleep(0.2)
        until(lambda: world.actual() == world.expected(), 60)
    proxy.close()
    assert following.result is not None
    assert following.result.stopped == {}
    world.state = state_url
    world.assert_agreement()


def test_the_command_line_takes_a_url_and_shows_no_secret(
    tmp_path: Path, postgres_url: str, state_url: str
) -> None:
    world = made_world(tmp_path, postgres_url, state_url)
    world.run()
    secret = urlsplit(state_url).password or "?"
    for command in (["status"], ["stuck"], ["status", "--json"]):
        for said in (["--state", state_url, *command], [*command, "--state", state_url]):
            found = CliRunner().invoke(cli, said)
            assert found.exit_code == 0, found.output
            assert secret not in found.output
    assert "people" in CliRunner().invoke(cli, ["status"], env={"LOCKSTEP_STATE": state_url}).output
    wrong = CliRunner().invoke(cli, ["--state", "mysql://a:pw@b/c", "status"])
    assert wrong.exit_code == 2
    assert "pw" not in wrong.output.replace("http", "")
    empty = CliRunner().invoke(cli, ["--state", f"{state_url}?schema=empty", "status"])
    assert "nothing has run yet" in empty.output
    assert secret not in empty.output


class Another:
    """Another process's store, for a `with` block."""

    def __init__(self, url: str, access: Access = Access.RUN) -> None:
        self._store = Store(StateUrl(url), access)

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *_: Any) -> None:
        self._store.close()


def test_the_history_of_a_key_is_told_from_there(tmp_path: Path, postgres_url: str, state_url: str) -> None:
    world = made_world(tmp_path, postgres_url, state_url)
    world.run()
    world.do("UPDATE companies SET name = 'other' WHERE id = 2", "UPDATE users SET email = 'x' WHERE id = 6")
    world.run()
    found = [event.text for event in ls.explain(world.pipeline(), "people", "6").history]
    assert any(text.endswith("companies 2") for text in found)
    assert any(text.endswith("users 6") for text in found)
