"""The source is protected from us: few connections, short transactions, no log kept in silence."""

from __future__ import annotations

import threading
import time

import pytest

import lockstep as ls
from tests.accidents.world import Product, said
from tests.pairs.world import COLUMNS, Following, Person, document, until

WATCH = """SELECT application_name, pid, state,
  coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type IN ('client backend', 'walsender')"""
MAPPINGS = 3
AT_ONCE = 2 * MAPPINGS + 3
"""A mapping's batch, and the next one that is prepared; the log, questions about it, and who prepares it."""


class Watched:
    """Who is connected, and how long they are in a transaction, for somebody who looks all the time."""

    def __init__(self, product: Product) -> None:
        self.most, self.longest = 0, 0.0
        self.names: set[str] = set()
        self._product = product
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        with self._product.connect() as admin:
            while not self._stop.wait(0.005):
                ours = [row for row in admin.execute(WATCH.encode()) if row[0] != "app"]
                self.most = max(self.most, len(ours))
                self.names |= {row[0] for row in ours}
                idle = [row[3] for row in ours if row[2] == "idle in transaction"]
                self.longest = max([self.longest, *idle])

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def slow(user: Person) -> dict[str, object]:
    time.sleep(0.02)
    return document(user)


def test_connections_are_few_and_transactions_short(product: Product) -> None:
    """A mapping that takes its time holds no snapshot open meanwhile."""
    product.do("INSERT INTO users SELECT n, 1, 'U' || n FROM generate_series(2001, 2100) n")
    url = product.direct

    def pipeline() -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=product.root / "state")
        source = ls.Postgres(product.url, slot=product.slot)
        for name in ("people", "others", "third"):
            to = ls.SQLite(product.root / "out").table(name, columns=COLUMNS, key=("id",))
            made.mapping(source, to=to, name=name, version="1")(slow)
        return made

    product.pipeline = pipeline  # type: ignore[method-assign]
    product.direct = f"{url}?application_name=app"
    with Watched(product) as watched, Following(product):
        until(product.agrees, 60)
        for n in range(5):
            product.do(f"UPDATE companies SET name = 'turn {n}' WHERE id = {n + 1}")
            until(product.agrees, 60)
    assert watched.names == {"lockstep"}
    assert MAPPINGS + 1 <= watched.most <= AT_ONCE
    assert watched.longest < 1.5, "160 keys take more than three seconds to derive"


def test_what_the_server_keeps_for_us_is_said_before_it_hurts(
    own: Product, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open transaction, of anybody, holds the log back: it is named, and how much room there is."""
    monkeypatch.setattr("lockstep.engine.sources.capture._LAG_EVERY", 0.2)
    with own.connect() as admin:
        admin.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '160MB'")
        admin.execute("SELECT pg_reload_conf()")
    with Following(own), own.connect() as other:
        until(own.agrees, 60)
        other.execute("SET application_name = 'the culprit'")
        other.execute("BEGIN")
        other.execute("UPDATE tags SET name = 'open' WHERE id = 1")
        log_grows(own, 7)
        until(lambda: said(caplog, "the server keeps .* of its log for us, and gives us up after"), 60)
        until(lambda: said(caplog, "it is kept for transaction .* application the culprit"), 60)
        other.execute("ROLLBACK")
    log_grows(own, 5)
    findings = [one for one in ls.check(own.pipeline()) if "nobody follows the slot" in one.problem]
    assert [one.blocks for one in findings] == [False]
    assert "pg_drop_replication_slot" in findings[0].mend


def log_grows(product: Product, segments: int) -> None:
    with product.connect() as admin:
        for _ in range(segments):
            admin.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
            admin.execute("SELECT pg_switch_wal()")
