"""What others do to our replication slot and publication: it is recognised, said, and healed."""

from __future__ import annotations

import signal

import pytest

import lockstep as ls
from tests.accidents.world import LOST, RUNNING, Product, said
from tests.pairs.world import Following, until


@RUNNING
def test_a_slot_that_somebody_dropped(
    product: Product, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    with product.cut_off(running=running):
        product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
    assert said(caplog, f"the replication slot {product.slot} is gone")


@pytest.mark.parametrize("point", ["hinted", "spanned", "followed", "derived", "settled"])
def test_a_start_without_its_slot_that_is_killed(product: Product, point: str) -> None:
    """The new slot is there by then, and says nothing of what was lost with the old one."""
    product.run()
    product.spoil()
    product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
    product.do(*LOST)
    assert product.spawn(crash=point).wait(60) == -signal.SIGKILL
    product.do("UPDATE users SET email = 'Between@example.com' WHERE id = 9")
    product.run()
    product.assert_agreement()
    assert any("the log has a hole: the replication slot" in why for why in product.backfill_reasons())


@RUNNING
def test_a_slot_that_somebody_dropped_and_made_again(
    product: Product, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    with product.cut_off(running=running):
        product.do(
            f"SELECT pg_drop_replication_slot('{product.slot}')",
            "INSERT INTO users VALUES (2001, 1, 'between@example.com')",
        )
        product.do(f"SELECT pg_create_logical_replication_slot('{product.slot}', 'pgoutput')")
    assert said(caplog, "another client moved the slot")


@RUNNING
def test_a_slot_that_another_client_advanced(
    product: Product, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    with product.cut_off(running=running, lost=()):
        product.do("UPDATE users SET email = 'lost' WHERE id = 3", "DELETE FROM users WHERE id = 4")
        product.do(f"SELECT pg_replication_slot_advance('{product.slot}', pg_current_wal_lsn())")
    assert said(caplog, "another client moved the slot")


@RUNNING
def test_a_slot_of_our_name_that_is_not_ours(
    product: Product, caplog: pytest.LogCaptureFixture, running: bool
) -> None:
    """It is never taken: that would be somebody else's. Once it is gone, all is healed."""
    if not running:
        product.run()
        product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
        product.do(f"SELECT pg_create_physical_replication_slot('{product.slot}', true)")
        with pytest.raises(ls.Refused, match="belongs to somebody else: it is a physical slot"):
            product.run()
        assert product.ask("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", product.slot)
        product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
        product.do("UPDATE users SET email = 'lost' WHERE id = 3")
        product.run()
        product.assert_agreement()
        return
    with product.cut_off(running=True):
        product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
        product.do(f"SELECT pg_create_physical_replication_slot('{product.slot}', true)")
        product.proxy.accept()
        until(lambda: said(caplog, "belongs to somebody else"))
        product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
    assert said(caplog, f"the replication slot {product.slot} is gone")


def test_a_slot_that_another_process_follows(product: Product, caplog: pytest.LogCaptureFixture) -> None:
    """Who has it is named; it goes on by itself once that one has ended, and nothing was lost."""
    product.run()
    thief = product.thief()
    with Following(product):
        until(lambda: said(caplog, rf"slot \"{product.slot}\" is active for PID \d+"))
        product.do("UPDATE users SET email = 'later' WHERE id = 3")
        thief.close()
        until(product.agrees, 60)
    product.assert_agreement()


@RUNNING
def test_a_publication_that_somebody_dropped(
    product: Product,
    caplog: pytest.LogCaptureFixture,
    running: bool,
) -> None:
    with product.cut_off(running=running):
        product.do("DROP PUBLICATION lockstep")
    assert said(caplog, "the publication was gone")


def test_a_walsender_that_is_terminated_again_and_again(
    product: Product, caplog: pytest.LogCaptureFixture
) -> None:
    ended = 0
    pid = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    with Following(product):
        until(lambda: len(product.actual_or_none()) == 60)
        for n in range(5):
            until(lambda: product.ask(pid, product.slot) is not None)
            product.do(f"UPDATE users SET email = 'turn {n}' WHERE id = {n + 10}")
            ended += bool(product.ask(f"SELECT pg_terminate_backend(({pid})::int)", product.slot))
        until(product.agrees, 60)
    assert ended >= 4
    assert product.backfill_reasons() == ["backfill"], "nothing was lost, so nothing is derived anew"
    assert said(caplog, "terminating connection")
    product.assert_agreement()


def test_readers_that_are_terminated_again_and_again(product: Product) -> None:
    with Following(product):
        until(lambda: len(product.actual_or_none()) == 60)
        with product.connect() as admin:
            for n in range(5):
                product.do(f"UPDATE users SET email = 'turn {n}' WHERE id = {n + 10}")
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        until(product.agrees, 60)
    product.assert_agreement()
