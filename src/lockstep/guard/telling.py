"""Tells of a hold: a webhook and a command, as the environment says. Neither may hold up the engine.

LOCKSTEP_NOTIFY_URL      gets a POST of JSON
LOCKSTEP_NOTIFY_COMMAND  is run by the shell, with the same JSON on its standard input
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import urllib.request
from typing import Any

import msgspec

from lockstep.state.holds import Hold

log = logging.getLogger("lockstep")

_PATIENCE = 10.0


def tell(hold: Hold) -> None:
    """Tells of a new hold, in a thread of its own. What fails is logged, and tried once more."""
    url, command = os.environ.get("LOCKSTEP_NOTIFY_URL"), os.environ.get("LOCKSTEP_NOTIFY_COMMAND")
    if not url and not command:
        return
    body = msgspec.json.encode(
        {
            "event": "hold",
            "id": hold.id,
            "mapping": hold.mapping,
            "policy": hold.policy,
            "reason": hold.reason,
            "expected": hold.expected,
            "numbers": hold.numbers,
            "preview": hold.preview,
            "opened_at": hold.opened_at,
            "text": f"Lockstep holds {hold.mapping}: {hold.reason}. See `lockstep holds`.",
        }
    )
    for way, where in ((_post, url), (_run, command)):
        if where:
            threading.Thread(
                target=_twice, args=(way, where, body), name="lockstep-tell", daemon=True
            ).start()


def _twice(way: Any, where: str, body: bytes) -> None:
    for last in (False, True):
        try:
            way(where, body)
            return
        except Exception as error:
            if last:
                log.warning("nobody could be told of a hold: %s", error)


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_PATIENCE):
        pass


def _run(command: str, body: bytes) -> None:
    subprocess.run(command, shell=True, input=body, timeout=_PATIENCE, check=True, capture_output=True)
