"""What others say of the stand-in's answers: Zuora's official SDK, and the OpenAPI file of its REST API.

`make servers` fetches both. What a judge says and is let be is listed here, with why: nothing else may come
up, and what no longer does is taken off.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstep.twins.zuora.api.gate import pattern_of
from lockstep.twins.zuora.api.routes import ROUTES
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.tenant import Tenant
from tests.twins.api import Api, opened
from tests.twins.judges import fetch
from tests.twins.tour import recorded

ROOT = Path(__file__).parents[2]

_TYPE = "answer at orders/n/subscriptions/n/orderActions/n/type: enum"

SDK_LETS_NOT = {
    # Public clients list the objects so; the SDK, as the documents, has only the description of one.
    "GET /v1/describe: the SDK has no such endpoint",
    # Both models of the SDK's `oneOf` take an order's answer: no server can please it.
    "GET /v1/async-jobs/*: GetAsyncOrderJobResponse: Multiple matches found",
}
SDK_KNOWS_NOT = {
    # The SDK says FaultCode and FaultMessage; what real tenants are seen to send is kept.
    "FaultResponse.faultcode",
    "FaultResponse.faultstring",
    # Without it there is nothing to ask a resending for.
    "GetCalloutHistoryVOsType.calloutHistories[].id",
    # An order is shown with its actions as they were sent.
    "…chargeOverrides[].productRatePlanChargeId",
    "…termsAndConditions.lastTerm",
}
FILE_LETS_NOT = {
    # The file has these as texts, the newer SDK as numbers.
    "GET /v1/accounts/{account-key} answer at billingAndPayment/billCycleDay: type string",
    "GET /v1/accounts/{account-key} answer at metrics/balance: type string",
    "GET /v1/accounts/{account-key} answer at metrics/contractedMrr: type string",
    "GET /v1/accounts/{account-key} answer at metrics/creditBalance: type string",
    "GET /v1/accounts/{account-key} answer at metrics/totalInvoiceBalance: type string",
    # The file says text where its own example has a list.
    "GET /v1/catalog/product/{product-id} answer at productRatePlans: type string",
    "GET /v1/catalog/products answer at products/n/productRatePlans: type string",
    # ChangePlan is younger than the file.
    f"GET /v1/orders {_TYPE}",
    f"GET /v1/orders/subscription/{{subscriptionNumber}} {_TYPE}",
    f"GET /v1/orders/subscriptionOwner/{{accountNumber}} {_TYPE}",
    "POST /v1/orders request at subscriptions/n/orderActions/n/type: enum",
    # Codes of errors are numbers in what real tenants are seen to send.
    "POST /v1/orders answer at reasons/n/code: type string",
}


@pytest.fixture(scope="module")
def twin() -> Iterator[Api]:
    with ZuoraTwin(Tenant()) as server:
        api = opened(server)
        api.clock("2025-01-01")
        yield api
        api.http.close()


@pytest.fixture(scope="module")
def tour(twin: Api) -> Any:
    return recorded(twin)


@pytest.fixture(scope="module")
def sdk(twin: Api, tour: Any) -> Any:
    """What the SDK says. It takes ten seconds to import, so it is asked all at once."""
    return _judged("sdk", str(twin.http.base_url), *twin.credentials, twin.plan, twin.charge, records=tour)


def _have(path: Path) -> None:
    if not path.exists():
        said = "the judges of the stand-in are not here: make servers"
        if os.environ.get("LOCKSTEP_REQUIRE_SERVERS") == "1":
            pytest.fail(said)
        pytest.skip(said)


def _judged(script: str, *arguments: str, records: Any = None) -> Any:
    _have(fetch.python())
    command = [str(fetch.python()), "-m", f"tests.twins.judges.{script}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, input=json.dumps(records), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_tour_goes_everywhere(tour: Any) -> None:
    """Every route there is was asked, so that the judges see it."""
    for route in ROUTES:
        if not route.template.startswith("/twin") and "queryMore" not in route.template:
            pattern = re.compile(pattern_of(route.template))
            met = [one for one in tour if one["method"] == route.method and pattern.fullmatch(one["path"])]
            assert met, f"{route.method} {route.template}"


def test_the_sdk_parses_every_answer(tour: Any, sdk: Any) -> None:
    wrong = {_shortened(one) for one in sdk["wrong"]}
    unknown = {_ending(one) for one in sdk["unknown"]}
    assert (wrong, unknown) == (SDK_LETS_NOT, SDK_KNOWS_NOT)
    assert sdk["parsed"] >= len(tour) - len(sdk["wrong"]) - 8, "few are without a model"


def test_the_openapi_file_allows_every_request_and_answer(tour: Any) -> None:
    _have(fetch.openapi())
    said = _judged("contract", str(fetch.openapi()), records=tour)
    assert set(said["wrong"]) == FILE_LETS_NOT
    assert said["judged"] >= 90


def test_the_official_client_works(sdk: Any) -> None:
    """Typed requests, from a token to a query: what is sent here others wrote."""
    assert sdk["seen"] == {
        "account": "A-sdk",
        "subscriptions": ["S-sdk"],
        "version": 2,
        "segments": [
            [1, "2025-01-01", "2025-07-01", 10, 10],
            [2, "2025-07-01", "2026-01-01", 10, 12.5],
        ],
        "prices": [10, 12.5],
        "refused": [False, "Subscription number S-sdk already exists."],
    }


def _shortened(problem: str) -> str:
    return re.sub(r"/v1/async-jobs/\w+", "/v1/async-jobs/*", problem).split(" when ")[0]


def _ending(field: str) -> str:
    """A place within an order's action, however the action was reached."""
    for known in SDK_KNOWS_NOT:
        if known.startswith("…") and field.endswith(known[1:]):
            return known
    return field
