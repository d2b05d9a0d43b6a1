"""One owner for each field: what an app's mapping sets in Zuora, no other brings back into what it reads."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.errors import DeclarationError
from lockstep.systems import zuora
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app


class Payer(ls.Model, table="payers"):
    id: str = ls.key()
    name: str
    region: str | None


class Balance(ls.Model, table="accounts"):
    id: str = ls.key()
    accountNumber: str
    balance: Decimal


class Named(Balance, table="accounts"):
    name: str


class Placed(Balance, table="accounts"):
    Region__c: str | None


def account(payer: Payer) -> zuora.Account:
    return zuora.Account(
        key=payer.id,
        name=payer.name,
        currency="EUR",
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", country="Spain"),
        custom={"Region__c": payer.region},
    )


def balance(one: Balance) -> dict[str, object]:
    return {"id": one.accountNumber, "balance": str(one.balance)}


def named(one: Named) -> dict[str, object]:
    return {"id": one.accountNumber, "name": one.name}


def placed(one: Placed) -> dict[str, object]:
    return {"id": one.accountNumber, "region": one.Region__c}


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = app.stocked(zuora_twin)
    made.put("/twin/settings", {"custom_fields": {"Account": {"Region__c": {}}}})
    yield made
    made.http.close()


Pipelines = Callable[..., ls.Pipeline]


@pytest.fixture
def both_ways(tmp_path: Path, api: Api, zuora_twin: ZuoraTwin) -> Pipelines:
    """Accounts of the app's payers, and a mapping of what Zuora says into a table of the app."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("CREATE TABLE payers (id TEXT PRIMARY KEY, name TEXT NOT NULL, region TEXT)")
        db.execute("CREATE TABLE copies (id TEXT PRIMARY KEY, name TEXT, region TEXT, balance TEXT)")
        db.execute("INSERT INTO payers VALUES ('A-1', 'Ada Ltd', 'north')")
        db.commit()

    def made(back: Callable[..., dict[str, object]], into: str) -> ls.Pipeline:
        tenant, own = app.tenant_of(zuora_twin), ls.SQLite(tmp_path / "app.db")
        pipeline = ls.Pipeline("both", state=tmp_path / "state")
        accounts = tenant.accounts(today=lambda: app.TODAY)
        pipeline.mapping(own, to=accounts, name="accounts")(account)
        tables = tenant.tables(
            custom={"accounts": {"Region__c": "str"}}, every=0.5, overlap=dt.timedelta(seconds=30)
        )
        pipeline.mapping(tables, to=own.table(into), key=Balance.accountNumber, name="back")(back)
        return pipeline

    return made


def test_a_field_that_is_set_and_brought_back_stops_a_run_before_it_writes(
    both_ways: Pipelines, api: Api, zuora_twin: ZuoraTwin, tmp_path: Path
) -> None:
    assert ls.run(both_ways(balance, "copies"), once=True).stopped == {}
    zuora_twin.tenant.counts.clear()
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("UPDATE payers SET name = 'Eve Ltd'")
        db.commit()
    pipeline = both_ways(named, "payers")
    (found,) = [one for one in ls.check(pipeline) if "owner" in one.problem]
    assert found.blocks
    assert found.subject == "accounts, back"
    assert "accounts sets name of accounts in zuora:" in found.problem
    assert "back sets name of payers in sqlite:" in found.problem
    assert "leave it out of Named" in found.mend
    for refused in (lambda: ls.run(pipeline, once=True), lambda: ls.deploy(pipeline, "accounts")):
        with pytest.raises(DeclarationError, match="name of accounts") as error:
            refused()
        assert error.value.remedy == found.mend
    assert not [one for one in zuora_twin.tenant.counts if one.startswith(("POST /v1/o", "PUT"))]


def test_own_fields_are_known_by_what_the_mapping_returns(both_ways: Pipelines) -> None:
    ls.run(both_ways(balance, "copies"), once=True)
    with pytest.raises(DeclarationError, match="Region__c of accounts"):
        ls.run(both_ways(placed, "payers"), once=True)


def test_a_copy_beside_what_the_app_reads_is_told_and_stops_nothing(both_ways: Pipelines) -> None:
    pipeline = both_ways(named, "copies")
    (found,) = [one for one in ls.check(pipeline) if "owns" in one.problem]
    assert not found.blocks
    assert "brings it back as a copy" in found.problem
    assert ls.run(pipeline, once=True).stopped == {}


def test_what_zuora_owns_comes_without_a_word(both_ways: Pipelines) -> None:
    assert [one for one in ls.check(both_ways(balance, "copies")) if one.subject == "accounts, back"] == []
