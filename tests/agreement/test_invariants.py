"""Invariants: groups that differ are found, to the cent; what is on its way is not."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

import lockstep as ls
from lockstep.agreement.report import Divergence
from lockstep.ports import Source, Target
from lockstep.values import Change, Version
from tests.pairs.world import until

SECONDS = float(os.environ.get("LOCKSTEP_INVARIANT_SECONDS", "6"))
"""For which checks are made in a loop beside writes; 60 by hand."""

COUNTRIES = ("DE", "FR", None, "42")


class Order(ls.Model, table="public.orders"):
    id: int = ls.key()
    country: str | None
    branch: int
    amount: Decimal | None


class Bill(ls.Model, table="orders"):
    id: int = ls.key()
    country: str | None
    branch: int
    amount: int | None


class World:
    """Orders in one system, documents of them in another."""

    def __init__(
        self, state: Path, source: Source, target: Target, model: type[Any], connect: Callable[[], Any]
    ) -> None:
        self.state, self.source, self.target, self.model = state, source, target, model
        self.connect = connect
        self.tolerance, self.why = Decimal(0), ""
        self.by_text = False

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("orders", state=str(self.state))
        model, by_text = self.model, self.by_text

        def order_document(order: Any) -> dict[str, object]:
            branch = str(order.branch) if by_text else order.branch
            return {"country": order.country, "branch": branch, "amount": order.amount}

        order_document.__annotations__["order"] = model
        free = ls.Guard(free=100_000)  # the writer beside a check removes a lot
        made.mapping(self.source, to=self.target, name="orders", version="1", guard=free)(order_document)

        @made.invariant(self.source, self.target, tolerance=self.tolerance, why=self.why)
        def revenue_by_country() -> ls.Equal:
            return ls.Equal(ls.total(model.amount, by=model.country), ls.total("amount", by="country"))

        @made.invariant(self.source, self.target)
        def orders_by_branch() -> ls.Equal:
            return ls.Equal(ls.count(by=model.branch), ls.count(by="branch"))

        @made.invariant(self.source, self.target)
        def orders() -> ls.Equal:
            return ls.Equal(ls.count(model), ls.count())

        return made

    def do(self, *statements: str) -> None:
        with contextlib.closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def run(self) -> None:
        ls.run(self.pipeline(), once=True)

    def verify(self, method: str = "fast") -> dict[str, Divergence]:
        return {
            one.subject: one
            for one in ls.verify(self.pipeline(), "orders", method=method).divergences
            if one.kind == "invariant"
        }

    def edit(self, number: int, **fields: Any) -> None:
        """Changes a target record behind Lockstep's back, honestly fingerprinted as before."""
        writer = self.target.open(1)
        try:
            key = self.target.key((number,))
            held = writer.read([key])[key]
            assert held.meta is not None
            meta = held.meta
            meta = msgspec.structs.replace(meta, version=Version(meta.version + 1))
            record = {name: value for name, value in held.record.items() if name != "id"} | fields
            (outcome,) = writer.write([Change(key, record, meta)])
            assert outcome.status == "applied"
        finally:
            writer.close()


@pytest.fixture(
    params=["postgres-opensearch", "postgres-postgres", "postgres-tantivy", "sqlite-sqlite", "sqlite-tantivy"]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    source, target = request.param.split("-")
    name = f"orders_{uuid.uuid4().hex[:8]}"
    to: Target
    match target:
        case "opensearch":
            url = request.getfixturevalue("opensearch_server").url
            to = ls.OpenSearch(url).index(name, settings={"number_of_replicas": 0})
        case "postgres":
            to = ls.Postgres(request.getfixturevalue("target_url")).table(
                f"out.{name}",
                columns={"id": "INTEGER", "country": "TEXT", "branch": "INTEGER", "amount": "numeric"},
            )
        case "tantivy":
            to = ls.Tantivy(str(tmp_path / "out")).index(name)
        case _:
            columns = {"id": "INTEGER", "country": "TEXT", "branch": "INTEGER", "amount": "INTEGER"}
            to = ls.SQLite(str(tmp_path / "out.db")).table(name, columns=columns)
    rows = [
        f"({n}, {'NULL' if (c := COUNTRIES[n % 4]) is None else repr(c)}, {n % 3}, {n * 10})"
        for n in range(1, 41)
    ]
    fill = f"INSERT INTO orders VALUES {', '.join(rows)}"
    if source == "postgres":
        address = request.getfixturevalue("postgres_url")
        app: Source = ls.Postgres(address, slot=address.rpartition("/")[2])
        made = World(tmp_path / "state", app, to, Order, lambda: psycopg.connect(address))
        made.do(
            "CREATE TABLE orders (id int PRIMARY KEY, country text, branch int NOT NULL, amount numeric)",
            fill,
        )
    else:
        file = str(tmp_path / "app.db")
        made = World(tmp_path / "state", ls.SQLite(file), to, Bill, lambda: sqlite3.connect(file, timeout=30))
        made.do(
            "PRAGMA journal_mode=WAL",
            "CREATE TABLE orders (id integer PRIMARY KEY, country text, branch integer, amount integer)",
            fill,
        )
    yield made
    if target == "opensearch":
        httpx.delete(f"{url}/{name}-g1?ignore_unavailable=true", timeout=30)


def test_a_cent_is_found_and_nothing_else(world: World) -> None:
    world.run()
    assert ls.verify(world.pipeline(), "orders").invariants == 3
    assert world.verify() == {}
    cent = Decimal("0.01") if world.model is Order else 1
    world.edit(5, amount=50 + cent)
    found = world.verify()
    assert list(found) == ["revenue_by_country country=FR"]
    ((one,), reason) = (
        found["revenue_by_country country=FR"].fields,
        found["revenue_by_country country=FR"].reason,
    )
    total = sum(n * 10 for n in range(1, 41) if n % 4 == 1)
    assert (one.path, one.expected, one.actual) == ("total", total, total + cent)
    assert reason == f"the target has +{cent} against the source"
    world.tolerance, world.why = Decimal(cent), "billing rounds"
    assert world.verify("deep") == {}
    world.edit(5, amount=50 - 2 * cent)
    assert "tolerated" in (world.verify()["revenue_by_country country=FR"].reason or "")
    report = ls.verify(world.pipeline(), "orders")
    assert report.id is not None
    subject = "revenue_by_country country=FR"
    assert ls.accept(world.state, report.id, subject, because="known", by="me") == 1
    assert world.verify() == {}
    world.edit(5, amount=50 - 3 * cent)
    assert list(world.verify()) == [subject], "another difference"
    plan = ls.repair(world.pipeline(), "orders", dry_run=True)
    assert [one.subject for one in plan.left] in ([], [subject])


def test_groups_of_null_of_one_side_and_of_another_type(world: World) -> None:
    world.run()
    world.edit(6, country="XX")  # was null
    world.edit(7, country="null")
    found = world.verify()
    assert found.keys() == {
        "revenue_by_country country=null",
        'revenue_by_country country="null"',
        'revenue_by_country country="42"',
        "revenue_by_country country=XX",
    }
    (only,) = found["revenue_by_country country=XX"].fields
    assert (only.expected, only.actual) == ("(no such group)", 60)
    assert found["revenue_by_country country=XX"].reason == "only the target has this group"


@pytest.mark.parametrize(
    ("world", "read"),
    [
        ("postgres-postgres", set()),
        ("sqlite-sqlite", set()),
        ("postgres-opensearch", {"revenue_by_country", "orders_by_branch"}),
        ("postgres-tantivy", {"revenue_by_country", "orders_by_branch", "orders"}),
    ],
    indirect=["world"],
)
def test_a_target_that_groups_is_not_read_and_a_report_says_which_was(world: World, read: set[str]) -> None:
    world.run()
    notes = ls.verify(world.pipeline(), "orders").notes
    assert {note.partition(":")[0] for note in notes if "record by record" in note} == read


def test_text_and_number_are_two_groups(world: World) -> None:
    if "tantivy" not in world.target.name:
        pytest.skip("one target without declared types is enough")
    world.by_text = True
    world.run()
    found = world.verify()
    assert found.keys() == {
        *(f"orders_by_branch branch={n}" for n in range(3)),
        *(f'orders_by_branch branch="{n}"' for n in range(3)),
    }
    reason = found["orders_by_branch branch=1"].reason
    assert reason == 'only the source has this group; the other side has one of another type: "1" (str)'


def test_empty_tables_agree(world: World) -> None:
    world.do("DELETE FROM orders")
    world.run()
    assert world.verify() == {}
    world.do("INSERT INTO orders VALUES (1, 'DE', 1, NULL)")
    world.run()
    assert world.verify() == {}


@pytest.mark.parametrize("world", ["postgres-postgres", "postgres-tantivy"], indirect=True)
def test_many_digits_are_added_exactly(world: World) -> None:
    big = "123456789012345678901234567890.123456789012345678901234567890"
    world.do(f"INSERT INTO orders VALUES (100, 'US', 1, {big}), (101, 'US', 1, -{big}), (102, 'US', 1, 0.01)")
    world.run()
    assert world.verify() == {}
    world.edit(100, amount=Decimal(big) + Decimal("1e-30"))
    assert list(world.verify()) == ["revenue_by_country country=US"]


@pytest.mark.parametrize(
    "world", ["postgres-opensearch", "postgres-postgres", "sqlite-sqlite"], indirect=True
)
def test_writes_are_no_divergence_and_hide_none(world: World) -> None:
    """Checks in a loop while every group but one changes; then a cent is planted in the one, and found."""
    stop = threading.Event()
    runs = threading.Thread(target=lambda: ls.run(world.pipeline(), stop=stop))
    writes = threading.Thread(target=_write, args=(world, stop))
    world.run()
    runs.start()
    writes.start()
    try:
        until(lambda: ls.status(world.state).running is not None)
        end = time.monotonic() + SECONDS
        looked = 0
        while time.monotonic() < end or not looked:
            assert world.verify() == {}
            looked += 1
        world.edit(1, amount=999)
        until(lambda: "revenue_by_country country=FR" in world.verify())
        assert world.verify().keys() <= {"revenue_by_country country=FR"}
    finally:
        stop.set()
        runs.join(120)
        writes.join(60)
    assert not runs.is_alive()
    assert not writes.is_alive()


def _write(world: World, stop: threading.Event) -> None:
    number = 1_000
    while not stop.is_set():
        number += 1
        world.do(
            f"INSERT INTO orders VALUES ({number}, 'DE', {number % 3}, {number % 97})",
            f"UPDATE orders SET amount = {number % 31} WHERE id = 4",
            f"UPDATE orders SET country = {'NULL' if number % 2 else repr('42')} WHERE id = 3",
            f"DELETE FROM orders WHERE id = {number - 20}" if number > 1_020 else "SELECT 1",
        )
        stop.wait(0.01)


def test_what_says_too_little_is_refused(tmp_path: Path) -> None:
    source, target = ls.SQLite(str(tmp_path / "a.db")), ls.Tantivy(str(tmp_path / "b")).index("orders")
    made = ls.Pipeline("said", state=str(tmp_path / "state"))

    def same() -> ls.Equal:
        return ls.Equal(ls.count(Bill), ls.count())

    def refused(match: str, function: Callable[[], Any] = same, **given: Any) -> None:
        with pytest.raises(ls.DeclarationError, match=match):
            made.invariant(source, target, **given)(function)

    refused("no mapping leads")

    @made.mapping(source, to=target)
    def bills(bill: Bill) -> dict[str, object]:
        return {"amount": bill.amount}

    refused("does not say why", tolerance=Decimal("0.01"))
    refused("does not say why", tolerance=1, why="  ")
    refused("no exact number", tolerance=0.01, why="rounding")
    refused("a tolerance of", tolerance=Decimal("-1"), why="rounding")
    refused("a tolerance of", tolerance=Decimal("NaN"), why="rounding")
    refused("returned NoneType", lambda: None)
    refused("grouped by 1 fields", lambda: ls.Equal(ls.count(by=Bill.country), ls.count()))
    refused("one side counts", lambda: ls.Equal(ls.count(Bill), ls.total("amount")))
    refused("names no model", lambda: ls.Equal(ls.count(), ls.count()))
    refused("no fields of the target", lambda: ls.Equal(ls.total(Bill.amount), ls.total(Bill.amount)))
    refused(
        "is no field of Bill", lambda: ls.Equal(ls.total(Bill.amount, by="country"), ls.total("a", by="b"))
    )
    refused("no mapping reads public.orders", lambda: ls.Equal(ls.count(Order), ls.count()))
    made.invariant(source, target)(same)
    refused("two invariants are named")
