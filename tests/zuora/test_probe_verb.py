"""`lockstep probe`, as it is typed, on a tenant of the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, subscribed

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    with subscribed(zuora_twin) as made:
        yield made


@pytest.fixture
def typed(zuora_twin: ZuoraTwin, tmp_path: Path) -> Typed:
    said = {"ZUORA_URL": zuora_twin.url, "ZUORA_CLIENT_ID": zuora_twin.client_id}
    environment = os.environ | said | {"ZUORA_CLIENT_SECRET": zuora_twin.client_secret}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "lockstep.cli", "probe", *words]
        return subprocess.run(
            line, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=60, check=False
        )

    return run


def test_between_start_and_stop(api: Api, typed: Typed, tmp_path: Path) -> None:
    begun = typed("start", "--account", "A-1", "--json")
    assert begun.returncode == 0, begun.stderr
    assert Path(tmp_path, json.loads(begun.stdout)["recorded"]).is_file()
    again = typed("start", "--account", "A-1")
    assert again.returncode == 2
    assert "begun already" in again.stderr
    assert api.order(api.update("2025-03-01", quantity=12))["success"]
    told = typed("stop", "--account", "A-1")
    assert told.returncode == 0, told.stderr
    assert "segment 1, 2025-01-01 to 2025-03-01  copied, cut short" in told.stdout
    assert "effectiveEndDate: 2026-01-01 → 2025-03-01" in told.stdout
    assert "S-1 version 1  superseded" in told.stdout
    (kept,) = (tmp_path / "probes").iterdir()
    assert json.loads(kept.read_bytes()).keys() == {"account", "at", "changes", "before", "after"}
    over = typed("stop", "--account", "A-1")
    assert over.returncode == 2
    assert "no probe of A-1 was begun" in over.stderr


def test_around_a_command_that_fails_half_way(api: Api, typed: Typed) -> None:
    asking = (
        "import httpx, sys; print('hello'); "
        f"httpx.put('{api.http.base_url}/v1/accounts/A-1', json={{'name': 'Bee'}}, "
        f"headers={{'Authorization': '{api.http.headers['Authorization']}'}}); sys.exit(7)"
    )
    ran = typed("zuora", "--account", "A-1", "--json", "--", sys.executable, "-c", asking)
    assert ran.returncode == 3
    said = json.loads(ran.stdout)  # what the command prints is not in it
    assert (said["command_exit"], said["counts"]) == (7, {"changed": 1})
    assert said["changes"][0]["fields"]["name"] == ["Ada Ltd", "Bee"]
    assert "hello" in ran.stderr
    assert "ended with 7" in ran.stderr


def test_a_probe_that_was_killed_is_told_by_stop(api: Api, typed: Typed) -> None:
    kill = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    assert typed("zuora", "--account", "A-1", "--", sys.executable, "-c", kill).returncode == -9
    assert api.put("/v1/accounts/A-1", {"name": "Bee"})["success"]
    told = typed("stop", "--account", "A-1", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["changes"][0]["fields"]["name"] == ["Ada Ltd", "Bee"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("zuora", "--account", "A-9", "--", "true"), "no account 'A-9'"),
        (("zuora", "--account", "A-1", "--", "no-such-program"), "cannot be started"),
        (("zuora", "--account", "A-1"), "nothing to probe"),
        (("start", "--account", "A-1", "--", "true"), "takes no command"),
    ],
)
def test_wrong_usage_is_said_and_leaves_nothing(
    api: Api, typed: Typed, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    ran = typed(*words)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert not list(tmp_path.glob("probes/*"))
