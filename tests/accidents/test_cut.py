"""The source goes away and comes back, is full, forgets our password, or is only quiet: nothing is lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import lockstep as ls
from lockstep.engine.consumers import working
from lockstep.systems.postgres import client
from lockstep.testing.servers import PostgresServer
from tests.accidents.world import Product, said
from tests.pairs.world import Following, until


@contextlib.contextmanager
def traffic(product: Product) -> Iterator[None]:
    """Transactions of a hundred rows each, one after another, whether or not the server is there."""
    stop = threading.Event()

    def work() -> None:
        turn = 0
        while not stop.is_set():
            with contextlib.suppress(psycopg.Error), product.connect() as app, app.transaction():
                turn += 1
                app.execute(f"UPDATE users SET email = 'turn {turn}' WHERE id <= 50".encode())
                app.execute("UPDATE companies SET name = name || '.' WHERE id = 1")
                app.execute("DELETE FROM messages WHERE id = %s", [turn])
            stop.wait(0.01)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def test_the_source_restarts_in_the_middle_of_its_changes(
    own: Product, private_postgres: PostgresServer
) -> None:
    with Following(own):
        until(lambda: len(own.actual_or_none()) == 60)
        with traffic(own):
            for how in ("fast", "immediate", "kill"):
                until(lambda: own.ask("SELECT count(*) FROM pg_stat_replication") == 1)
                if how == "kill":
                    private_postgres.kill()
                else:
                    private_postgres.stop("fast" if how == "fast" else "immediate")
                private_postgres.start()
        until(own.agrees, 60)
    assert own.backfill_reasons() == ["backfill"], "nothing was lost, so nothing is derived anew"
    own.assert_agreement()


@pytest.mark.parametrize("how", ["immediate", "kill"])
def test_the_source_restarts_in_the_middle_of_the_first_load(
    own: Product,
    private_postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    monkeypatch.setattr(working, "BATCH", 50)
    own.do("INSERT INTO users SELECT i, i % 5 + 1, 'U' || i FROM generate_series(61, 6000) i")
    with Following(own) as following:
        until(lambda: len(own.actual_or_none()) > 100)
        if how == "kill":
            private_postgres.kill()
        else:
            private_postgres.stop("immediate")
        until(lambda: said(caplog, "mapping people waits: "))
        assert len(own.actual_or_none()) < 5_000, "it was over before"
        private_postgres.start()
        own.do("UPDATE users SET email = 'meanwhile' WHERE id IN (5, 5999)", "DELETE FROM users WHERE id = 6")
        until(own.agrees, 60)
    assert following.result is not None
    assert following.result.stopped == {}
    assert ls.stuck(own.pipeline()) == []
    assert own.backfill_reasons() == ["backfill"], "it goes on where it was"
    own.assert_agreement()


def test_a_server_that_gives_up_on_us(
    product: Product, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`wal_sender_timeout`: what comes back to life finds its stream ended, and goes on where it was."""
    monkeypatch.setattr(client, "_SENDER", {"wal_sender_timeout": "1s"})
    with Following(product):
        until(lambda: len(product.actual_or_none()) == 60)
        product.proxy.deaf()
        active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND active"
        until(lambda: product.ask(active, product.slot) == 0)
        product.do("UPDATE users SET email = 'meanwhile' WHERE id = 3")
        product.proxy.accept()
        until(product.agrees, 60)
    assert said(caplog, "broke while its log was followed|ended the stream")
    product.assert_agreement()


FULL = {
    "max_connections": "All connections",
    "max_wal_senders": "All WAL senders",
    "max_replication_slots": "All replication slots",
}


@pytest.mark.parametrize("limit", FULL)
def test_a_server_that_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture, limit: str) -> None:
    """What is full is named with its mend, and tried again until there is room."""
    settings = {"max_connections": "12", "max_wal_senders": "2", "max_replication_slots": "2"}
    with (
        PostgresServer(settings=settings) as server,
        contextlib.closing(Product(tmp_path, server.database("app"))) as product,
        contextlib.ExitStack() as crowd,
    ):
        crowded(product, limit, crowd)
        with Following(product):
            until(lambda: said(caplog, f"{FULL[limit]}.*are taken.*{limit}|{limit}.*are taken"))
            crowd.close()
            for n in range(2 * (limit == "max_replication_slots")):
                product.do(f"SELECT pg_drop_replication_slot('other_{n}')")
            until(product.agrees, 60)
        product.assert_agreement()


def crowded(product: Product, limit: str, crowd: contextlib.ExitStack) -> None:
    """Others take all there is of something."""
    if limit == "max_replication_slots":
        for n in range(2):
            product.do(f"SELECT pg_create_physical_replication_slot('other_{n}')")
        return
    replication = limit == "max_wal_senders"
    for _ in range(40):
        try:
            if replication:
                crowd.enter_context(client.Address(product.direct).replication())
            else:
                crowd.enter_context(product.connect())
        except (psycopg.OperationalError, ls.LockstepError):
            return
    raise AssertionError("it is never full")


def test_a_password_that_is_changed_meanwhile(own: Product, caplog: pytest.LogCaptureFixture) -> None:
    role, old = "follower", "'first'"
    own.do(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD {old}")
    own.url = own.url.replace(own.url.split("//")[1].split("@")[0], f"{role}:first")
    with Following(own):
        until(lambda: len(own.actual_or_none()) == 60)
        own.do(f"ALTER ROLE {role} PASSWORD 'second'")
        own.do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
        own.do("UPDATE users SET email = 'meanwhile' WHERE id = 3")
        until(lambda: said(caplog, "password authentication failed.*Correct the user or the password"))
        assert not said(caplog, "first|second")
        own.do(f"ALTER ROLE {role} PASSWORD {old}")
        until(own.agrees, 60)
    own.assert_agreement()


def test_an_idle_database_beside_a_busy_one(own: Product, private_postgres: PostgresServer) -> None:
    """Its slot advances by keepalives alone: our user may write nothing, and nothing is written there."""
    own.do(
        "CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        "ALTER ROLE reader SET default_transaction_read_only = on",
        "CREATE PUBLICATION lockstep FOR TABLE companies, users, tags, users_tags, conversations, messages",
    )
    own.url = own.url.replace(own.url.split("//")[1].split("@")[0], "reader:reader")
    stands = "SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE slot_name = %s"
    kept = "SELECT pg_current_wal_lsn() - restart_lsn FROM pg_replication_slots WHERE slot_name = %s"
    with (
        Following(own),
        psycopg.connect(private_postgres.database("busy"), autocommit=True) as busy,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr("lockstep.engine.sources.capture._MARK_EVERY", 0.5)
        until(lambda: len(own.actual_or_none()) == 60)
        busy.execute("CREATE TABLE x (n int)")
        for _ in range(3):
            busy.execute("INSERT INTO x SELECT generate_series(1, 50000)")
            row = busy.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
            assert row is not None
            until(lambda end=row[0]: own.ask(stands, own.slot) >= end)  # type: ignore[misc]
            busy.execute("SELECT pg_log_standby_snapshot()")
            until(lambda: own.ask(kept, own.slot) < 2_000_000)
    own.assert_agreement()
