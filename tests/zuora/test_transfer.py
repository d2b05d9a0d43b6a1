"""A contract that the app moves from one customer to another is transferred in the stand-in, by real runs."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import lockstep as ls
from lockstep.errors import DeclarationError, NothingYet
from lockstep.systems.zuora.plans.drift import Policy
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.handing_over import kinds, on

SOON, LATER = dt.timedelta(seconds=30), dt.timedelta(hours=1)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = app.made(tmp_path / "app.db")
    for number in ("A-1", "A-2"):
        made.execute("INSERT INTO customers VALUES (?, 'Ltd', 'EUR', NULL)", (number,))
    made.execute("INSERT INTO contracts VALUES ('S-1', 'A-1', '2026-01-01', 12, NULL)")
    made.execute("INSERT INTO moves VALUES (1, 'S-1', '2026-01-01', NULL, 'Pro', 9.00, 3)")
    yield made
    made.close()


def pipeline_of(
    place: Path,
    twin: ZuoraTwin,
    within: dt.timedelta | None = LATER,
    on_edit: Mapping[str, Policy] = MappingProxyType({}),
) -> ls.Pipeline:
    pipeline = ls.Pipeline("billing", state=place / "state")
    accounts = app.tenant_of(twin).accounts(today=lambda: app.TODAY, transfers_within=within, on_edit=on_edit)
    pipeline.mapping(ls.SQLite(place / "app.db"), to=accounts, name="accounts")(app.account)
    pipeline.amounts("accounts")(app.monthly_revenue)  # a check compares it too
    return pipeline


def ran(pipeline: ls.Pipeline) -> list[str]:
    """A run, in which what is stuck is tried again; why keys are stuck."""
    with contextlib.suppress(NothingYet):
        ls.retry(pipeline, "accounts")
    ls.run(pipeline, once=True)
    return [one.error for one in ls.stuck(pipeline, "accounts")]


def agree(pipeline: ls.Pipeline) -> bool:
    (report,) = pipeline.verify("accounts", method="deep")
    return report.agreement


def test_a_contract_that_changes_hands_is_transferred_and_changed(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    assert ran(pipeline) == []
    db.execute("BEGIN")
    db.execute("UPDATE contracts SET customer_id = 'A-2'")
    db.execute("INSERT INTO moves VALUES (2, 'S-1', '2026-03-01', NULL, 'Pro', 9.00, 7)")
    db.execute("COMMIT")
    assert ran(pipeline) == []
    assert on(api) == ("A-2", "A-2", "Active")
    assert kinds(api) == ["CreateSubscription", "OwnerTransfer", "UpdateProduct"]
    assert [seats for _, _, _, seats, _ in app.segments(api, "S-1")] == [3, 7]
    assert agree(pipeline)
    zuora_twin.tenant.counts.clear()
    assert ran(pipeline) == []
    assert zuora_twin.tenant.counts["POST /v1/orders"] == 0
    db.execute("UPDATE contracts SET customer_id = 'A-1'")  # and back
    assert ran(pipeline) == []
    assert on(api) == ("A-1", "A-1", "Active")
    assert agree(pipeline)


def test_one_that_is_nowhere_for_a_while_waits_and_is_transferred(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ran(pipeline)
    contract, move = _taken(db)
    db.execute("UPDATE customers SET name = 'Other' WHERE id = 'A-1'")
    (reason,) = ran(pipeline)
    assert "S-1 is returned by no account any more: until" in reason
    assert on(api) == ("A-1", "A-1", "Active")
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Other", "what does not wait is done"
    assert not agree(pipeline), "a check says what is so"
    db.execute("INSERT INTO customers VALUES ('A-3', 'New', 'EUR', NULL)")
    _given(db, contract, move, "A-3")
    ls.run(pipeline, once=True)
    assert on(api) == ("A-3", "A-3", "Active")
    assert ran(pipeline) == []
    assert kinds(api) == ["CreateSubscription", "OwnerTransfer"]
    assert agree(pipeline)


def test_what_is_done_while_something_waits_is_nobodys_edit(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin, on_edit={"name": "hold"})
    ran(pipeline)
    _taken(db)
    for name in ("Other", "Another"):
        db.execute("UPDATE customers SET name = ? WHERE id = 'A-1'", (name,))
        (reason,) = ran(pipeline)
        assert "S-1 is returned by no account any more: until" in reason
        assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == name
    api.put("/v1/accounts/A-1", {"name": "Edited"})
    db.execute("UPDATE customers SET name = 'Last' WHERE id = 'A-1'")
    (reason,) = ran(pipeline)
    assert "edited in Zuora" in reason


def test_what_was_done_while_something_waits_is_undone_when_the_app_goes_back(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    """The record is the one of the ledger again; the account, of which the name was set, is not."""
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ran(pipeline)
    contract, move = _taken(db)
    db.execute("UPDATE customers SET name = 'Other' WHERE id = 'A-1'")
    ran(pipeline)
    db.execute("UPDATE customers SET name = 'Ltd' WHERE id = 'A-1'")
    _given(db, contract, move, "A-1")
    assert ran(pipeline) == []
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Ltd"
    assert agree(pipeline)


def _taken(db: sqlite3.Connection) -> tuple[list[object], list[object]]:
    """The contract is deleted; as it was, and its move."""
    ((contract,), (move,)) = (
        db.execute(f"SELECT * FROM {table}").fetchall() for table in ("contracts", "moves")
    )
    for table in ("moves", "contracts"):
        db.execute(f"DELETE FROM {table}")
    return list(contract), list(move)


def _given(db: sqlite3.Connection, contract: list[object], move: list[object], customer: str) -> None:
    db.execute("INSERT INTO contracts VALUES (?, ?, ?, ?, ?)", [contract[0], customer, *contract[2:]])
    db.execute("INSERT INTO moves VALUES (?, ?, ?, ?, ?, ?, ?)", move)


def test_one_that_nobody_claims_is_cancelled_when_its_time_is_over(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin, SOON)
    ran(pipeline)
    for table in ("moves", "contracts", "customers"):
        db.execute(f"DELETE FROM {table}")
    end = time.time() + SOON.total_seconds()
    for _ in range(6):  # each time that it is tried in vain, the next try is later
        (reason,) = ran(pipeline)
        assert reason.startswith("it waits: subscription S-1 is returned by no account any more: until")
    (one,) = ls.stuck(pipeline, "accounts")
    assert one.retry_at is not None
    assert one.retry_at <= end + 1.0, "and yet not later than when its time is over"
    assert ran(pipeline_of(tmp_path, zuora_twin, dt.timedelta(microseconds=1))) == [], "its time is over"
    assert kinds(api) == ["CreateSubscription", "CancelSubscription"]
    assert agree(pipeline)


def test_a_customer_goes_and_another_one_takes_its_contract(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ran(pipeline)
    db.execute("BEGIN")
    db.execute("UPDATE contracts SET customer_id = 'A-2'")
    db.execute("DELETE FROM customers WHERE id = 'A-1'")
    db.execute("COMMIT")
    assert ran(pipeline) == []
    assert on(api) == ("A-2", "A-2", "Active")
    assert agree(pipeline)


def test_two_contracts_change_places(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    db.execute("INSERT INTO contracts VALUES ('S-2', 'A-2', '2026-01-01', 12, NULL)")
    db.execute("INSERT INTO moves VALUES (2, 'S-2', '2026-01-01', NULL, 'Basic', 5.00, 1)")
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ran(pipeline)
    db.execute("UPDATE contracts SET customer_id = CASE id WHEN 'S-1' THEN 'A-2' ELSE 'A-1' END")
    assert ran(pipeline) == []
    assert (on(api)[0], on(api, "S-2")[0]) == ("A-2", "A-1")
    assert agree(pipeline)


def test_without_leave_nothing_is_transferred_and_nothing_destroyed(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin, None)
    ran(pipeline)
    db.execute("UPDATE contracts SET customer_id = 'A-2'")
    reasons = sorted(ran(pipeline))
    assert len(reasons) == 2
    assert "S-1 is on account A-1 in Zuora, and account A-2 returns it now" in reasons[0] + reasons[1]
    assert "S-1 is returned by account A-2 now" in reasons[0] + reasons[1]
    assert on(api) == ("A-1", "A-1", "Active")
    day = [{"name": name, "triggerDate": "2026-02-01"} for name in ("ContractEffective", "ServiceActivation")]
    to = {"destinationAccountNumber": "A-2", "destinationInvoiceAccountNumber": "A-2"}
    done = api.order({"type": "OwnerTransfer", "triggerDates": day, "ownerTransfer": to}, account="A-1")
    assert done["success"], done
    assert ran(pipeline) == [], "the mend of the message"
    assert on(api) == ("A-2", "A-2", "Active")
    assert agree(pipeline)


def test_who_pays_after_a_transfer_is_the_new_owner(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ran(pipeline)
    _bill(api, "2026-01-15")
    db.execute("UPDATE contracts SET customer_id = 'A-2'")
    assert ran(pipeline) == []
    _bill(api, "2026-02-15")
    accounts = {one["id"]: one["accountNumber"] for one in api.get("/object-query/accounts")["data"]}
    billed = [accounts[one["accountId"]] for one in api.get("/object-query/invoices")["data"]]
    assert sorted(billed) == ["A-1", "A-2"]
    assert agree(pipeline)


def _bill(api: Api, day: str) -> None:
    run = api.post("/v1/bill-runs", {"targetDate": day, "invoiceDate": day})
    api.put(f"/v1/bill-runs/{run['id']}/post", {})


def test_a_plan_shows_what_waits_and_what_is_transferred(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api, db: sqlite3.Connection
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ran(pipeline)
    contract, move = _taken(db)
    assert "S-1 is returned by no account any more" in _told(pipeline, "A-1")
    ran(pipeline)
    _given(db, contract, move, "A-2")
    db.execute("INSERT INTO moves VALUES (2, 'S-1', '2026-03-01', NULL, 'Pro', 9.00, 7)")
    told = _told(pipeline, "A-2")
    assert "S-1: OwnerTransfer from account A-1\nS-1: 2026-03-01 UpdateProduct" in told
    assert "S-1 comes from account A-1: what it bills then is not previewed" in told
    assert kinds(api) == ["CreateSubscription"]


def _told(pipeline: ls.Pipeline, key: str) -> str:
    (planned,) = ls.plan(pipeline, "accounts", [key])
    assert planned.steps is not None
    return "\n".join([*planned.steps.steps, planned.steps.problem or "", *planned.preview])


def test_how_long_is_said_in_time(zuora_twin: ZuoraTwin) -> None:
    with pytest.raises(DeclarationError, match="transfers_within is 0:00:00"):
        app.tenant_of(zuora_twin).accounts(transfers_within=dt.timedelta(0))
