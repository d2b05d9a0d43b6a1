"""What a probe tells of each thing that can be done to an account, in the stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lockstep.errors import UsageError
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.probe.probed import Change, changes, fate
from lockstep.systems.zuora.probe.recording import recorded
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, subscribed
from tests.twins.tenant import on

Probe = Callable[[Callable[[], object]], list[Change]]


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    with subscribed(zuora_twin) as made:
        yield made


@pytest.fixture
def probe(api: Api, zuora_twin: ZuoraTwin) -> Iterator[Probe]:
    client = Client(zuora_twin.url, zuora_twin.client_id, zuora_twin.client_secret)

    def told(done: Callable[[], object]) -> list[Change]:
        before = recorded(client, "A-1")
        done()
        return changes(before, recorded(client, "A-1"))

    yield told
    client.close()


def fates(found: list[Change], kind: str) -> list[str]:
    return sorted(fate(one) for one in found if one.kind == kind)


def test_nothing_done_is_nothing_told(probe: Probe) -> None:
    assert probe(lambda: None) == []


def test_an_update_cuts_a_segment_and_copies_the_tree(api: Api, probe: Probe) -> None:
    found = probe(lambda: api.order(api.update("2025-03-01", quantity=12)))
    assert fates(found, "subscription") == ["copied", "superseded"]
    assert fates(found, "rate plan")[0].startswith("copied")
    assert fates(found, "charge") == ["copied, cut short", "created"]
    assert fates(found, "tier") == ["copied", "created"]
    assert fates(found, "order") == ["created"]
    (cut,) = (one for one in found if one.what == "cut short")
    assert cut.fields["effectiveEndDate"] == ("2026-01-01", "2025-03-01")
    assert cut.copied_from not in (None, cut.id)


def test_a_removal_shortens_and_makes_no_segment(api: Api, probe: Probe) -> None:
    plan = api.get("/v1/subscriptions/S-1")["ratePlans"][0]["id"]
    body = {"type": "RemoveProduct", "triggerDates": on("2025-04-01"), "removeProduct": {"ratePlanId": plan}}
    found = probe(lambda: api.order(body))
    assert fates(found, "charge") == ["copied, cut short"]
    assert "created" not in fates(found, "tier")


def test_a_renewal_extends_the_last_segment(api: Api, probe: Probe) -> None:
    body = {"type": "RenewSubscription", "triggerDates": on("2025-04-01"), "renewSubscription": {}}
    found = probe(lambda: api.order(body))
    assert fates(found, "charge") == ["copied, extended"]


def test_a_deleted_order_rolls_back(api: Api, probe: Probe) -> None:
    number = api.order(api.update("2025-03-01", quantity=12))["orderNumber"]
    found = probe(lambda: api.http.delete(f"/v1/orders/{number}"))
    assert fates(found, "subscription") == ["removed", "restored"]
    assert fates(found, "charge") == ["removed", "removed"]


def test_a_bill_run_makes_an_invoice_and_moves_what_is_charged(api: Api, probe: Probe) -> None:
    run = {"targetDate": "2025-01-15", "invoiceDate": "2025-01-15", "autoPost": True}
    found = probe(lambda: api.post("/v1/bill-runs", run))
    assert fates(found, "invoice") == ["created"]
    assert fates(found, "item") == ["created"]
    (charge,) = (one for one in found if one.kind == "charge")
    assert (charge.what, charge.copied_from) == ("changed", None)
    assert charge.fields["chargedThroughDate"][1] == "2025-02-01"


def test_an_account_that_is_not_there_is_said(zuora_twin: ZuoraTwin) -> None:
    client = Client(zuora_twin.url, zuora_twin.client_id, zuora_twin.client_secret)
    with pytest.raises(UsageError, match="A-9"):
        recorded(client, "A-9")
    client.close()
