"""How it is started: by the command, and by the fixture that a user's own tests take."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import httpx

from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin

COMMAND = [sys.executable, "-m", "lockstep.cli", "twin", "zuora"]


def test_the_fixture_is_a_tenant_of_its_own(zuora_twin: ZuoraTwin) -> None:
    zuora_twin.set_clock(datetime(2026, 3, 1, tzinfo=UTC))
    said = httpx.get(f"{zuora_twin.url}/twin").json()
    assert said["today"] == "2026-03-01"
    zuora_twin.faults(Fault(kind="503", times=1))
    assert httpx.post(f"{zuora_twin.url}/oauth/token").status_code == 503
    form = {"client_id": zuora_twin.client_id, "client_secret": zuora_twin.client_secret}
    granted = httpx.post(f"{zuora_twin.url}/oauth/token", data={**form, "grant_type": "client_credentials"})
    assert granted.status_code == 200


def test_the_command_says_where_it_is_until_it_is_stopped() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            assert httpx.get(f"{url}/twin").status_code == 200
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert "client_secret" in rest


def test_without_the_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from lockstep.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "twin", "zuora"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "the package uvicorn" in done.stderr
    assert "lockstep-sync[twins]" in done.stderr


def test_a_port_that_is_taken(zuora_twin: ZuoraTwin) -> None:
    port = zuora_twin.url.rsplit(":", 1)[1]
    done = subprocess.run([*COMMAND, "--json", "--port", port], capture_output=True, text=True, timeout=60)
    said = json.loads(done.stderr)
    assert (done.returncode, done.stdout) == (said["exit_code"], "")
    assert f"port {port}" in said["problem"]
    assert said["remedy"] == "Say another --port."
