"""What happens to whole servers: invalidated slots, restores, failovers, upgrades, recreated databases."""

from __future__ import annotations

import time

import pytest

import lockstep as ls
from lockstep.testing.servers import Backup, PostgresServer, PostgresStandby
from tests.accidents.world import LOST, RUNNING, Product, said
from tests.pairs.world import SCHEMA, until

FOR_SLOT = "SELECT {} FROM pg_replication_slots WHERE slot_name = %s"


def reload(product: Product, *settings: str) -> None:
    with product.connect() as admin:
        for setting in settings:
            admin.execute(f"ALTER SYSTEM SET {setting}".encode())
        admin.execute("SELECT pg_reload_conf()")


def log_grows(product: Product, segments: int = 4) -> None:
    with product.connect() as admin:
        for _ in range(segments):
            admin.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
            admin.execute("SELECT pg_switch_wal()")


def moved_on(product: Product) -> bool:
    product.do("CREATE TABLE IF NOT EXISTS moved ()", "DROP TABLE moved", "SELECT pg_log_standby_snapshot()")
    product.do(f"SELECT pg_replication_slot_advance('{product.slot}', pg_current_wal_lsn())")
    return True


@RUNNING
def test_a_slot_lost_to_max_slot_wal_keep_size(
    own: Product, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    reload(own, "max_slot_wal_keep_size = '1MB'")
    with own.cut_off(running=running):
        log_grows(own)
        own.do("CHECKPOINT")
        assert own.ask(FOR_SLOT.format("wal_status"), own.slot) == "lost"
        findings = ls.check(own.pipeline()) if not running else []
        assert running or any("the slot is lost" in finding.problem for finding in findings)
    assert said(caplog, r"is lost: the server invalidated it \(wal_removed\)")


def test_a_slot_lost_to_its_idleness(own: Product, caplog: pytest.LogCaptureFixture) -> None:
    """`idle_replication_slot_timeout`, from PostgreSQL 18 on."""
    with own.cut_off(running=False):
        reload(own, "idle_replication_slot_timeout = '1s'")
        time.sleep(1.5)
        own.do("CHECKPOINT")
        assert own.ask(FOR_SLOT.format("invalidation_reason"), own.slot) == "idle_timeout"
    assert said(caplog, r"is lost: the server invalidated it \(idle_timeout\)")


@RUNNING
def test_a_disk_put_back_from_a_snapshot(
    own: Product, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    """The same server, the same timeline; only its log ends before what the journal holds."""
    backup = Backup(private_postgres)
    with own.cut_off(running=running, lost=("UPDATE users SET email = 'other' WHERE id = 3",)):
        backup.put_back()
    assert said(caplog, "the server was restored|the replication slot .* is gone")


@RUNNING
def test_a_disk_put_back_that_has_written_more_than_was_read(
    own: Product, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    """The same server, the same timeline, our slot in it, and no position that tells."""
    own.run()
    backup = Backup(private_postgres)
    own.do("UPDATE users SET email = 'forgotten' WHERE id = 9", "INSERT INTO tags VALUES (99, 'forgotten')")
    with own.cut_off(running=running, lost=("UPDATE users SET email = 'other' WHERE id = 3",)):
        backup.put_back()
        log_grows(own)
    assert said(caplog, "is not in the server's log any more")


def test_a_server_that_crashed_is_known_again(
    own: Product, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its slot stands before what was read, as it was not yet on disk: and that is all."""
    own.run()
    for number in range(3):
        own.do(f"UPDATE users SET email = 'seen {number}' WHERE id = 5")
        own.run()
    before = own.backfill_reasons()
    slot = own.ask(FOR_SLOT.format("confirmed_flush_lsn"), own.slot)
    private_postgres.kill()
    private_postgres.start()
    assert own.ask(FOR_SLOT.format("confirmed_flush_lsn < %s::pg_lsn"), slot, own.slot), (
        "nothing to know again"
    )
    own.do("UPDATE users SET email = 'other' WHERE id = 3")
    own.run()
    assert own.agrees()
    assert own.backfill_reasons() == before
    assert not said(caplog, "is not in the server's log any more")


def test_a_restore_to_a_point_in_time(
    own: Product, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    own.run()
    backup = Backup(private_postgres)
    with own.cut_off(running=False):
        backup.recover()
    assert said(caplog, "it was restored, promoted or exchanged")


@RUNNING
def test_a_database_dropped_and_made_again(
    own: Product, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    with own.cut_off(running=running):
        server, name = own.direct.rpartition("/")[0], own.slot
        own.do(f"SELECT pg_drop_replication_slot('{name}')")
        own.direct = f"{server}/postgres"
        with own.connect() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            admin.execute(f"CREATE DATABASE {name}".encode())
        own.direct = f"{server}/{name}"
        own.do(*SCHEMA.strip().rstrip(";").split(";"), "DELETE FROM users WHERE id > 50")
    assert said(caplog, "it was restored, promoted or exchanged")


@pytest.mark.parametrize("slots", ["slots copied", "no slots copied"])
@RUNNING
def test_a_failover_behind_one_name(
    own: Product,
    private_postgres: PostgresServer,
    caplog: pytest.LogCaptureFixture,
    running: bool,
    slots: str,
) -> None:
    """The primary dies with a change that its standby never saw, and the target has it already."""
    with PostgresStandby(private_postgres, settings={"sync_replication_slots": "on"}) as standby:
        if slots == "slots copied":
            own.do("CREATE PUBLICATION lockstep FOR ALL TABLES")
            own.do(f"SELECT pg_create_logical_replication_slot('{own.slot}', 'pgoutput', false, false, true)")
            until(lambda: moved_on(own) and standby.has_slot(own.slot))
        with own.cut_off(running=running):
            until(standby.caught_up)
            standby.promote()
            private_postgres.kill()
            own.moves_to(standby.url("app"))
            there = own.ask(FOR_SLOT.format("synced"), own.slot)
            assert there is (True if slots == "slots copied" else None)
        assert said(caplog, "it was restored, promoted or exchanged")
        assert own.ask(FOR_SLOT.format("active"), own.slot) is False
        own.do("UPDATE users SET email = 'after' WHERE id = 9")
        own.run()
        own.assert_agreement()
        assert len([reason for reason in own.backfill_reasons() if "hole" in reason]) == 1


def test_a_failover_to_another_name(
    own: Product, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The URL in the pipeline's file is changed to the new primary's."""
    own.run()
    with PostgresStandby(private_postgres) as standby:
        until(standby.caught_up)
        standby.promote()
        private_postgres.kill()
        own.spoil()
        own.url = own.direct = standby.url("app")
        own.do(*LOST)
        own.run()
        own.assert_agreement()
        assert said(caplog, "its source is another one than before")
        own.do("UPDATE users SET email = 'after' WHERE id = 9")
        own.run()
        own.assert_agreement()


def test_a_standby_is_not_followed(own: Product, private_postgres: PostgresServer) -> None:
    own.run()
    with PostgresStandby(private_postgres) as standby:
        until(standby.caught_up)
        own.moves_to(standby.url("app"))
        with pytest.raises(ls.Refused) as refused:
            own.run()
        assert "primary" in refused.value.remedy


def test_a_new_cluster_as_after_an_upgrade(
    own: Product, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The same rows, a slot of the same name, and yet another system identifier."""
    with PostgresServer() as newer:
        with own.cut_off(running=False):
            newer.database("app")
            own.moves_to(newer.url("app"))
            own.do(*SCHEMA.strip().rstrip(";").split(";"))
            own.do("CREATE PUBLICATION lockstep FOR ALL TABLES")
            own.do(f"SELECT pg_create_logical_replication_slot('{own.slot}', 'pgoutput')")
            own.url = own.url.replace(private_postgres.password, newer.password)
        assert said(caplog, "it was restored, promoted or exchanged")
