"""The stand-in as a process of its own, which may be killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.twins.api import Api, sign_in


@contextmanager
def started(file: Path) -> Iterator[tuple[subprocess.Popen[bytes], Api]]:
    """`lockstep twin zuora` as a person starts it."""
    command = [sys.executable, "-m", "lockstep.cli", "--json", "twin", "zuora", "--file", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            with httpx.Client(base_url=said["url"], timeout=20) as http:
                api = Api(http, (said["client_id"], said["client_secret"]))
                sign_in(api)
                yield process, api
            process.terminate()
            assert process.wait(10) in {0, -signal.SIGKILL}
        finally:
            process.kill()
