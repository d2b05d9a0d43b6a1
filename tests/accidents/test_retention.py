"""A mapping that does not get on holds the journal back only so long."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

import lockstep as ls
from lockstep.operations.status import status
from lockstep.state.store import Store
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import OpenSearchHandle
from tests.accidents.world import Product, said
from tests.pairs.world import COLUMNS, Following, Person, document, until


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a week takes a moment here."""
    monkeypatch.setattr("lockstep.engine.service._TRIM_EVERY", 0.5)
    monkeypatch.setattr("lockstep.engine.consumers.retention.MANY", 150)
    monkeypatch.setattr("lockstep.engine.consumers.retention.YOUNG", 0.0)
    trim = Store.trim
    monkeypatch.setattr(Store, "trim", lambda store, keep: trim(store, keep=0.0))


def entries(product: Product) -> int:
    with closing(sqlite3.connect(product.root / "state" / "journal.db")) as connection:
        (count,) = connection.execute("SELECT coalesce(sum(hints), 0) FROM entries").fetchone()
    return int(count)


def waiting(product: Product, mapping: str) -> int:
    (found,) = [one for one in status(product.root / "state").mappings if one.name == mapping]
    return found.waiting_live + found.waiting_bulk


def changed(product: Product, turns: int) -> None:
    for turn in range(turns):
        product.do(f"UPDATE users SET email = 'turn {turn}'")


def test_a_held_mapping_is_overtaken(product: Product, caplog: pytest.LogCaptureFixture) -> None:
    product.do("INSERT INTO users SELECT n, 1, 'U' || n FROM generate_series(2001, 2080) n")
    ill = {"now": True}

    def fickle(user: Person) -> dict[str, object]:
        if ill["now"]:
            raise ValueError("not now")
        return document(user)

    def pipeline() -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=product.root / "state")
        source = ls.Postgres(product.url, slot=product.slot)
        out = ls.SQLite(product.root / "out")
        people = out.table("people", columns=COLUMNS, key=("id",))
        others = out.table("others", columns=COLUMNS, key=("id",))
        made.mapping(source, to=people, name="people", version="1")(document)
        made.mapping(source, to=others, name="fickle", version="1")(fickle)
        return made

    product.pipeline = pipeline  # type: ignore[method-assign]
    with Following(product):
        until(lambda: said(caplog, "mapping fickle is held by the guard .error-share."), 60)
        product.do("INSERT INTO users SELECT n, 1, 'U' || n FROM generate_series(3001, 3020) n")
        changed(product, 5)
        until(product.agrees, 60)
        until(lambda: said(caplog, "mapping fickle does not get on.*replaced by one pass"), 60)
        until(lambda: waiting(product, "fickle") < 150 and entries(product) < 300, 60)
    assert any("overtaken" in reason for reason in product.backfill_reasons())
    ill["now"] = False
    product.do("DELETE FROM users WHERE id = 2001", "UPDATE users SET email = 'last' WHERE id = 2002")
    product.run()
    product.assert_agreement()
    assert ls.verify(product.pipeline(), "fickle", method="deep").agreement


def test_a_mapping_that_waits_for_its_target_is_overtaken(
    product: Product, caplog: pytest.LogCaptureFixture, opensearch_server: OpenSearchHandle
) -> None:
    host, port = "127.0.0.1", opensearch_server.port
    with Proxy(host, port) as way:
        name = f"waits_{product.slot}"
        index = ls.OpenSearch(f"http://127.0.0.1:{way.port}").index(name, settings={"number_of_replicas": 0})

        def pipeline() -> ls.Pipeline:
            made = ls.Pipeline("pairs", state=product.root / "state")
            source = ls.Postgres(product.url, slot=product.slot)
            made.mapping(source, to=index, name="waits", version="1")(document)
            return made

        product.pipeline = pipeline  # type: ignore[method-assign]
        product.run()
        with Following(product):
            way.refuse()
            way.cut()
            changed(product, 5)
            until(lambda: said(caplog, "mapping waits does not get on.*replaced by one pass"), 60)
            way.accept()
            until(lambda: waiting(product, "waits") == 0, 60)
        assert ls.verify(product.pipeline(), "waits", method="deep").agreement
