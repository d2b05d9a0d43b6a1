"""The feed under faults: callouts lost, doubled, late and forged, nonsense in them, tokens that end, a
process that is killed while it polls; and what no feed can see, which a check finds."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

import lockstep as ls
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, opened, stocked
from tests.twins.tenant import act
from tests.zuora import app
from tests.zuora.feed_app import pipeline_of

FAULTS = (
    Fault(kind="callout_lost", probability=0.3),
    Fault(kind="callout_doubled", probability=0.3),
    Fault(kind="callout_late", probability=0.3, after=0.7),
    Fault(kind="500", method="GET", path="/object-query/.*", probability=0.1),
    Fault(kind="503", method="GET", path="/object-query/.*", probability=0.1),
    Fault(kind="cut", method="GET", path="/object-query/.*", probability=0.1),
    Fault(kind="token", method="GET", path="/object-query/.*", probability=0.05),
)


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = stocked(opened(zuora_twin))
    yield made
    made.http.close()


def held(place: Path) -> dict[str, tuple[str, int]]:
    with closing(sqlite3.connect(place / "app.db")) as db:
        rows = db.execute("SELECT id, status, version FROM subscribed").fetchall()
    return {id: (status, version) for id, status, version in rows}


def test_nothing_is_lost_and_the_last_run_needs_no_check(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api
) -> None:
    choose = random.Random(7)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api.calls_out(port, "zuora", "a secret")
    versions: dict[str, int] = {}
    for _ in range(4):
        with _killed(tmp_path, zuora_twin, port):
            _follows(port)
            zuora_twin.faults(*FAULTS, seed=choose.randrange(99))
            until = time.monotonic() + choose.uniform(2.0, 3.5)
            while time.monotonic() < until:
                _changed(api, versions, choose)
                _forged(port)
                time.sleep(0.1)
        zuora_twin.faults()
    assert held(tmp_path), "what was killed had written something"
    tenant = app.tenant_of(zuora_twin)
    ls.run(pipeline_of(tmp_path, tenant), once=True)
    assert {number: version for number, (_, version) in held(tmp_path).items()} == versions
    (report,) = pipeline_of(tmp_path, tenant).verify("subscribed", method="deep")
    assert report.agreement, report


@contextlib.contextmanager
def _killed(place: Path, twin: ZuoraTwin, port: int) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "tests.zuora.feed_worker",
        str(place),
        twin.url,
        twin.client_id,
        str(port),
    ]
    environment = {**os.environ, "ZUORA_CLIENT_SECRET": twin.client_secret}
    with (place / "worker.log").open("ab") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield
        assert worker.poll() is None, (place / "worker.log").read_text()
    finally:
        worker.kill()
        worker.wait()


def _follows(port: int) -> None:
    """Returns once the process polls: then it listens."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("it does not listen for callouts")


def _changed(api: Api, versions: dict[str, int], choose: random.Random) -> None:
    """A new subscription, or two versions of one within a moment: they may have one updated date."""
    if not versions or choose.random() < 0.8:
        number = f"S-{len(versions)}"
        api.account(f"A-{len(versions)}")
        account = f"A-{len(versions)}"
        said = api.order(api.subscribe(), number=number, account=account)
        assert said["success"], said
        versions[number] = 1
        return
    number = choose.choice(sorted(versions))
    for _ in range(2):
        said = api.order(
            act("TermsAndConditions", "2025-01-01", autoRenew=choose.random() < 0.5),
            number=number,
            account=number.replace("S", "A"),
        )
        assert said["success"], said
        versions[number] += 1


def _forged(port: int) -> None:
    """Whoever calls with no secret, another, or nonsense: it may not be up yet."""
    with contextlib.suppress(httpx.HTTPError):
        for auth in (None, ("zuora", "guessed")):
            said = httpx.post(f"http://127.0.0.1:{port}/", json={"id": "S-1"}, auth=auth, timeout=2)
            assert said.status_code == 401
        body = b'{"subscriptions": [\xff' * 9
        httpx.post(f"http://127.0.0.1:{port}/", content=body, auth=("zuora", "a secret"), timeout=2)


def test_what_is_deleted_and_what_a_day_changes_a_check_finds(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api
) -> None:
    """Neither leaves an updated date."""
    api.clock("2025-02-01")
    orders = {}
    for number in ("S-1", "S-2"):
        account = number.replace("S", "A")
        api.account(account)
        orders[number] = api.order(api.subscribe(), number=number, account=account)["orderNumber"]
    pipeline = pipeline_of(tmp_path, app.tenant_of(zuora_twin))
    ls.run(pipeline, once=True)
    before = held(tmp_path)
    assert set(before) == {"S-1", "S-2"}
    api.http.delete(f"/v1/orders/{orders['S-2']}")
    api.clock("2026-02-01")
    (report,) = pipeline.verify("subscribed", method="deep")
    assert sorted(one.kind for one in report.divergences) == ["extra", "stale"], report
    ls.repair(pipeline, "subscribed", extras=True)
    ls.run(pipeline, once=True)
    after = held(tmp_path)
    assert set(after) == {"S-1"}
    assert (before["S-1"][0], after["S-1"][0]) == ("Active", "Expired"), "its term is over"
    (report,) = pipeline.verify("subscribed", method="deep")
    assert report.agreement, report
