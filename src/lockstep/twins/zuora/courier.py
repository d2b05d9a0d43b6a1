"""What waits is done on a thread of its own: callouts are sent and sent again, asynchronous orders worked."""

from __future__ import annotations

import base64
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

from .forms import encode
from .tenant import Tenant

ATTEMPTS = 4
"""Once, and three times more."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds before the second attempt and the others. How long a real tenant waits is not known."""


class Courier:
    """One thread. `job` works one queued asynchronous order, in a transaction."""

    def __init__(self, tenant: Tenant, job: Callable[[dict[str, Any]], None]) -> None:
        self._tenant = tenant
        self._job = job
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _loop(self) -> None:
        while not self._stop.wait(0.02):
            for id, kind, doc in self._tenant.store.waiting(time.time()):
                if self._stop.is_set():
                    return
                if kind == "job":
                    with self._tenant.store.transaction():
                        self._job(doc)
                        self._tenant.store.done(id)
                else:
                    self._call(id, doc)

    def _call(self, id: int, doc: dict[str, Any]) -> None:
        code, content = _sent(doc)
        attempt = int(doc["attempt"])
        store = self._tenant.store
        with store.transaction():
            made = {
                "id": store.id(),
                "attemptedNum": str(attempt),
                "createTime": self._tenant.now(),
                "eventCategory": doc["event"],
                "notification": doc["notification"],
                "requestMethod": doc["method"],
                "requestUrl": doc["url"],
                "responseCode": code,
                "responseContent": content,
                "sent": doc,
            }
            self._tenant.put("callout-histories", made)
            if code.startswith("2") or not doc["retry"] or attempt >= ATTEMPTS:
                store.done(id)
            else:
                store.postpone(id, time.time() + PAUSES[attempt - 1], {**doc, "attempt": attempt + 1})


def _sent(doc: dict[str, Any]) -> tuple[str, str]:
    """(status, start of the answer); "000" where there was none."""
    headers = {"Content-Type": "application/json", "Zuora-Request-Id": str(uuid.uuid4())}
    if doc["auth"]:
        word = f"{doc['auth']['username']}:{doc['auth']['password']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(word).decode()}"
    request = urllib.request.Request(doc["url"], encode(doc["body"]), headers, method=doc["method"])
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return str(answer.status), answer.read(500).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code), error.read(500).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        return "000", str(error)[:500]
