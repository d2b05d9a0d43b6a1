"""The HTTP client against the stand-in: tokens, limits, and what each failure is told as."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace

import lockstep as ls
from lockstep.errors import DeclarationError, Refused
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.failures import Declined, Failed, NotDone, Unsure
from lockstep.systems.zuora.api.pace import Pace
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin

WHO = {"firstName": "Ada", "lastName": "Byron", "country": "Spain"}
ACCOUNT = {"accountNumber": "A-1", "name": "Ada Ltd", "currency": "USD", "billToContact": WHO}


@pytest.fixture
def client(zuora_twin: ZuoraTwin) -> Iterator[Client]:
    with closing(Client(zuora_twin.url, zuora_twin.client_id, zuora_twin.client_secret)) as made:
        yield made


def test_a_token_is_renewed_when_it_is_not_taken_any_more(client: Client, zuora_twin: ZuoraTwin) -> None:
    client.ask("POST", "/v1/accounts", ACCOUNT)
    zuora_twin.faults(Fault(kind="token", times=1))
    assert client.ask("GET", "/v1/accounts/A-1")["success"]
    assert client.calls["token"] == 2


def test_tokens_that_end_one_after_another_are_renewed(client: Client, zuora_twin: ZuoraTwin) -> None:
    """As they do where others, who share the client, have theirs ended too."""
    client.ask("POST", "/v1/accounts", ACCOUNT)
    zuora_twin.faults(Fault(kind="token", times=4, path="/v1/.*"))
    assert client.ask("GET", "/v1/accounts/A-1")["success"]
    assert client.calls["token"] == 5


def test_a_token_is_renewed_before_its_end(client: Client, zuora_twin: ZuoraTwin) -> None:
    zuora_twin.tenant.set(replace(zuora_twin.tenant.settings, token_seconds=2))
    client.ask("POST", "/v1/accounts", ACCOUNT)
    time.sleep(1.85)  # not its end yet, and close to it
    zuora_twin.tenant.counts.clear()
    client.ask("GET", "/v1/accounts/A-1")
    assert zuora_twin.tenant.counts == {"POST /oauth/token": 1, "GET /v1/accounts/{key}": 1}


def test_a_token_that_holds_no_second_is_an_error_and_no_loop(client: Client, zuora_twin: ZuoraTwin) -> None:
    zuora_twin.tenant.set(replace(zuora_twin.tenant.settings, token_seconds=0))
    with pytest.raises(Declined, match="does not take the token"):
        client.ask("GET", "/v1/accounts/A-1")


def test_success_false_is_an_error_with_its_reasons(client: Client) -> None:
    with pytest.raises(Declined, match=r"Cannot find entity by key: 'A-9'.*process") as raised:
        client.ask("GET", "/v1/accounts/A-9")
    assert raised.value.absent


def test_a_limit_is_waited_for_and_a_lock_is_tried_again(client: Client, zuora_twin: ZuoraTwin) -> None:
    zuora_twin.faults(Fault(kind="429", times=1, path="/v1/.*"), Fault(kind="lock", times=1, path="/v1/.*"))
    client.ask("POST", "/v1/accounts", ACCOUNT)
    assert client.calls["POST"] == 3


def test_a_limit_of_tokens_is_waited_for_too(client: Client, zuora_twin: ZuoraTwin) -> None:
    zuora_twin.faults(Fault(kind="429", times=1, path="/oauth/token"))
    with pytest.raises(NotDone, match="too many tokens"):
        client._token.header()
    begun = time.monotonic()
    client._token.header()
    assert time.monotonic() - begun >= 0.9, "its Retry-After is a second"


def test_a_failure_that_is_kept_under_a_key_is_not_asked_for_again(
    client: Client, zuora_twin: ZuoraTwin
) -> None:
    zuora_twin.faults(Fault(kind="lock", times=1, path="/v1/.*"))
    with pytest.raises(Failed, match="lock"):
        client.ask("POST", "/v1/accounts", ACCOUNT, key="k-1")
    assert client.calls["POST"] == 1
    client.ask("POST", "/v1/accounts", ACCOUNT, key="k-2")


def test_a_change_whose_fate_is_unknown_is_not_repeated(client: Client, zuora_twin: ZuoraTwin) -> None:
    for kind in ("timeout", "cut", "500", "503"):
        zuora_twin.faults(Fault(kind=kind, times=1, path="/v1/accounts"))
        before = client.calls["POST"]
        with pytest.raises(Unsure):
            client.ask("POST", "/v1/accounts", {**ACCOUNT, "accountNumber": kind})
        assert client.calls["POST"] == before + 1


def test_a_read_is_repeated_whatever_happens(client: Client, zuora_twin: ZuoraTwin) -> None:
    client.ask("POST", "/v1/accounts", ACCOUNT)
    for kind in ("timeout_lost", "cut", "500", "503", "concurrent"):
        zuora_twin.faults(Fault(kind=kind, times=1))
        assert client.ask("GET", "/v1/accounts/A-1")["success"]


def test_nothing_tells_the_secret(zuora_twin: ZuoraTwin) -> None:
    with closing(Client(zuora_twin.url, zuora_twin.client_id, "hush-hush")) as client:
        with pytest.raises(Refused, match="does not take the client id and secret") as raised:
            client.ask("GET", "/v1/accounts/A-1")
        assert "hush" not in repr(client) + str(raised.value) + repr(vars(client)["_token"])


def test_nobody_there_means_nothing_done() -> None:
    with closing(Client("http://127.0.0.1:9", "x", "hush")) as client, pytest.raises(NotDone) as raised:
        client._asked("GET", "/v1/accounts/A-1", None, (), None)
    assert "hush" not in str(raised.value)


def test_the_rest_of_a_window_is_waited_for_once_it_is_spent() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(lambda: now[0], sleep)
    pace.heard({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "4", "ratelimit-reset": "30"})
    pace.wait()
    pace.wait()
    assert slept == []
    pace.wait()
    assert slept == [30.0]


def test_a_tenant_is_declared_by_its_environment() -> None:
    found = {"ZUORA_URL": "https://rest.zuora.com/", "ZUORA_CLIENT_ID": "me", "ZUORA_CLIENT_SECRET": "hush"}
    tenant = ls.Zuora.from_env(environ=found)
    assert (tenant.name, repr(tenant)) == ("zuora:rest.zuora.com", "Zuora('https://rest.zuora.com')")
    with pytest.raises(DeclarationError, match="ZUORA_CLIENT_ID and ZUORA_CLIENT_SECRET are not set"):
        ls.Zuora.from_env(environ={"ZUORA_URL": "https://rest.zuora.com"})
    with pytest.raises(DeclarationError) as raised:
        ls.Zuora("https://me:hush@rest.zuora.com", client_id="", client_secret="")
    assert "hush" not in str(raised.value)
