"""`lockstep explore zuora`, as it is typed, on a tenant of the stand-in; and its models at work."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import lockstep as ls
from lockstep.errors import Refused
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.describe import described
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Table
from tests.twins.api import Api, opened, stocked
from tests.unit.test_explore_models import is_formatted, type_checks

Typed = Callable[..., "subprocess.CompletedProcess[str]"]

OWN: dict[str, dict[str, Any]] = {
    "Account": {
        "Region__c": {"type": "picklist", "label": "Sales | <b>region</b>", "options": ["north", "south"]},
        "Seats__c": {"type": "integer"},
        "Since__c": {"type": "date", "label": "Customer since"},
    },
    "Subscription": {"Channel__c": {"label": "Sold by"}},
    "RatePlanCharge": {"Cost__c": {"type": "decimal"}},
}


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = opened(zuora_twin)
    made.clock("2025-01-01")
    stocked(made)
    assert "today" in made.put("/twin/settings", {"custom_fields": OWN})
    yield made
    made.http.close()


@pytest.fixture
def typed(zuora_twin: ZuoraTwin, tmp_path: Path) -> Typed:
    def run(*words: str, code: int = 0, **other: str) -> subprocess.CompletedProcess[str]:
        said = {"ZUORA_URL": zuora_twin.url, "ZUORA_CLIENT_ID": zuora_twin.client_id}
        said |= {"ZUORA_CLIENT_SECRET": zuora_twin.client_secret} | other
        done = subprocess.run(
            [sys.executable, "-m", "lockstep.cli", *words],
            cwd=tmp_path,
            env={name: value for name, value in (os.environ | said).items() if value},
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert zuora_twin.client_secret not in done.stdout + done.stderr
        return done

    return run


PIPELINE = """
import os
from pathlib import Path

from decimal import Decimal

import lockstep as ls
from lockstep.systems import zuora
from models import CUSTOM, Account, AccountFields, RatePlanChargeFields, SubscriptionFields

tenant = ls.Zuora.from_env()
app = ls.SQLite("app.db")
columns = {"id": "TEXT", "region": "TEXT", "seats": "INTEGER", "since": "DATE"}
pipeline = ls.Pipeline("regions", state=Path("state"))


source = tenant.tables(custom=CUSTOM)


@pipeline.mapping(source, to=app.table("regions", columns=columns), key=Account.accountNumber)
def regions(account: Account) -> dict[str, object]:
    return {
        "id": account.accountNumber,
        "region": account.Region__c,
        "seats": account.Seats__c,
        "since": account.Since__c,
    }


ada = zuora.Contact(first_name="Ada", last_name="Byron")
fields = AccountFields(Region__c="south", Seats__c=3, Since__c="2026-01-31")
zuora.Account(key="A", name="Ada", currency="EUR", bill_to=ada, custom=fields)
zuora.Rate(Decimal(9), custom=RatePlanChargeFields(Cost__c=Decimal("4.50")))
SubscriptionFields(Channel__c=None)
"""


def test_its_models_type_check_and_a_mapping_reads_own_fields(api: Api, typed: Typed, tmp_path: Path) -> None:
    api.put("/twin/clock", {"frozen": False})  # the feed goes by the machine's
    api.account("A-1", Region__c="north", Seats__c=3, Since__c="2024-02-29")
    api.account("A-2")
    said = typed("explore", "zuora", "-o", "models.py", "--page", "tenant.md")
    assert "5 models of 13 tables" in said.stderr
    source = (tmp_path / "models.py").read_text()
    is_formatted(source)
    assert "    # Sales | <b>region</b>: north, south\n    Region__c: str | None\n" in source
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    type_checks(tmp_path)
    (tmp_path / "wrong.py").write_text('from models import AccountFields\nAccountFields(Region__c="west")\n')
    with pytest.raises(AssertionError, match=r"Incompatible types .*west"):
        type_checks(tmp_path)
    (tmp_path / "wrong.py").unlink()
    typed("run", "--once")
    with closing(sqlite3.connect(tmp_path / "app.db")) as app:
        rows = app.execute("SELECT * FROM regions ORDER BY id").fetchall()
        assert [tuple(row[:4]) for row in rows] == [
            ("A-1", "north", 3, "2024-02-29"),
            ("A-2", None, None, None),
        ]
    assert api.put("/v1/accounts/A-2", {"Region__c": "south"})["success"]
    typed("run", "--once")
    with closing(sqlite3.connect(tmp_path / "app.db")) as app:
        assert app.execute("SELECT region FROM regions ORDER BY id").fetchall() == [("north",), ("south",)]
    assert "is in agreement" in typed("verify", "--deep").stdout


def test_the_page_names_what_there_is(api: Api, typed: Typed, tmp_path: Path) -> None:
    api.account("A-1")
    typed("explore", "zuora", "--page", "tenant.md")
    page = (tmp_path / "tenant.md").read_text()
    own = "| `Region__c` **own** | Sales \\| \\<b\\>region\\</b\\> | picklist | `str` |"
    assert f"{own} when created or updated | `north`, `south` |" in page
    assert "| `accountNumber` | Account Number | text | `str` | when created |" in page
    assert "- BillToContact → Contact" in page
    assert "- `accountId` → accounts (`id`)" in page
    assert "## RatePlanCharge\n\nNo model: `zuora.tables()` reads none of it." in page
    assert "| `Cost__c` **own** |" in page
    assert "- RatePlanChargeTier: 12 fields" in page
    assert typed("explore", "zuora", "--page", "tenant.md", code=2).stderr.count("is there already")


def test_as_json(api: Api, typed: Typed) -> None:
    catalog = json.loads(typed("explore", "zuora", "--json").stdout)
    (accounts,) = [one for one in catalog["tables"] if one["name"] == "accounts"]
    assert [one["name"] for one in accounts["columns"] if one["custom"]] == list(OWN["Account"])
    (region,) = [one for one in accounts["columns"] if one["name"] == "Region__c"]
    assert (region["options"], region["updateable"]) == (["north", "south"], True)
    (charge,) = [one for one in catalog["tables"] if one["name"] == "RatePlanCharge"]
    assert (charge["rows"], charge["key"]) == (None, [])


def test_a_user_who_may_not_read_all_of_it(api: Api, typed: Typed, tmp_path: Path) -> None:
    api.put("/twin/settings", {"unreadable": ["Account", "RatePlan"]})
    said = typed("explore", "zuora", "-o", "models.py", "--page", "tenant.md")
    assert "Not told by zuora:" in said.stderr
    assert "Account, RatePlan" in said.stderr
    assert "The user has no permission to read Account" in said.stderr
    assert "class Account(ls.Model" in (tmp_path / "models.py").read_text()
    assert "## What could not be looked at" in (tmp_path / "tenant.md").read_text()
    api.put(
        "/twin/settings", {"unreadable": ["Account", "Subscription", "Invoice", "InvoiceItem", "Payment"]}
    )
    none = typed("explore", "zuora", code=3).stderr
    assert "no permission to read Account" in none
    assert "Give the API user of these credentials the permission" in none


def test_credentials_that_are_missing_or_wrong(api: Api, typed: Typed) -> None:
    missing = typed("explore", "zuora", code=2, ZUORA_CLIENT_SECRET="")
    assert "ZUORA_CLIENT_SECRET is not set in the environment" in missing.stderr
    wrong = typed("explore", "zuora", code=3, ZUORA_CLIENT_SECRET="hush-hush")
    assert "does not take the client id and secret" in wrong.stderr
    assert "hush-hush" not in wrong.stderr


def test_a_tenant_that_lists_no_objects(api: Api, zuora_twin: ZuoraTwin, monkeypatch: Any) -> None:
    """The documents have the description of one object only: then those that they name are asked for."""
    from lockstep.systems.zuora.api.failures import Declined
    from lockstep.systems.zuora.tables import explored

    def none(client: object) -> None:
        raise Declined("GET /v1/describe: nobody knows it", "", (50000040,))

    monkeypatch.setattr(explored, "object_names", none)
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    catalog = tenant.tables().catalog()
    assert "RatePlanCharge" in {one.name for one in catalog.tables}
    assert catalog.missed == ()


def test_without_own_fields_models_are_told_of_none(api: Api, zuora_twin: ZuoraTwin) -> None:
    from lockstep.exploration.models import write_models

    api.put("/twin/settings", {"custom_fields": {}})
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    source = write_models(tenant.tables().catalog(), url_hint="zuora")
    assert "CUSTOM" not in source
    exec(compile(source, "models.py", "exec"), vars(ModuleType("explored")))


def test_a_check_names_own_fields_that_the_tenant_does_not_have(api: Api, zuora_twin: ZuoraTwin) -> None:
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    source = tenant.tables(custom={"accounts": {"Region__c": "str", "Regoin__c": "str"}})
    table = Table("accounts", ("id", "Region__c", "Regoin__c"), ("id",))
    (found,) = source.check([table])
    assert "no field Regoin__c of Account" in found.problem
    assert not found.blocks
    api.put("/twin/settings", {"unreadable": ["Account"]})
    assert "permission" in source.check([table])[0].problem


def test_a_tenant_that_is_busy_or_fails_for_a_moment(api: Api, zuora_twin: ZuoraTwin) -> None:
    kinds = ("429", "503", "cut", "token", "500")
    zuora_twin.faults(*(Fault(kind=kind, times=1, path="/v1/describe.*", after=1) for kind in kinds))
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    catalog = tenant.tables().catalog()
    assert catalog.missed == ()
    (accounts,) = [one for one in catalog.tables if one.name == "accounts"]
    assert [one.name for one in accounts.columns if one.custom] == list(OWN["Account"])


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        (b"<html><body>Sign in</body></html>", 200, "the answer is no description: its root is <html>"),
        (b'{"success": false, "reasons": [{"code": 50000010, "message": "no role"}]}', 200, "no role"),
        (b"nothing here", 404, "status 404"),
        (b"[]", 200, "the answer is no description"),
    ],
)
def test_what_stands_before_a_tenant_and_answers(said: bytes, status: int, why: str) -> None:
    client = Client("http://127.0.0.1:9", "id", "secret")
    client._http = httpx.Client(
        base_url="http://127.0.0.1:9",
        transport=httpx.MockTransport(
            lambda request: (
                httpx.Response(200, json={"access_token": "t", "expires_in": 60})
                if request.url.path == "/oauth/token"
                else httpx.Response(status, content=said)
            )
        ),
    )
    with closing(client), pytest.raises(Refused, match=why):
        described(client, "Account")
