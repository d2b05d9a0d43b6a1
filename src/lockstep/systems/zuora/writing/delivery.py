"""One request, sent until there is a definite answer.

A time-out says nothing: a timed-out order still runs to its end, and that it cannot be read yet proves
nothing. So the same request goes again, under the same number and key, and Zuora does it once.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.failures import Declined, Unsure
from lockstep.systems.zuora.writing.noted import Intent

PATIENCE = 30.0
"""Seconds for which one request is sent again while nobody can say what became of it."""

_LONGEST = 2.0

_encoder = msgspec.json.Encoder(decimal_format="number")


class Stale(Exception):
    """It was certainly not done, as something stands there that was not when it was planned."""


def body_of(said: Any) -> bytes:
    """As it is sent, and noted: the same bytes each time. Numbers keep all their digits."""
    return _encoder.encode(said)


def order_number() -> str:
    return f"O-LS-{secrets.token_hex(10)}"


def fresh_key() -> str:
    return secrets.token_hex(16)


def deliver(client: Client, intent: Intent, *, patience: float) -> None:
    """Returns once it is done. `patience`: seconds for a definite answer.

    Raises Declined or Failed where it certainly was not, and will not be; Stale where it must be planned
    anew; Unsure where there was no definite answer in time, and NotDone where Zuora could not be asked: then
    it may be, or become, done.
    """
    begun, wait = time.monotonic(), 0.1
    while True:
        try:
            client.ask(intent.method, intent.path, intent.body, key=_key_of(intent), reads=False)
            return
        except Unsure:
            if time.monotonic() - begun >= patience:
                raise
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST)
        except Declined as error:
            if not error.taken:
                raise
            if intent.order is not None and _there(client, intent.order):
                return
            raise Stale(str(error)) from error


def _key_of(intent: Intent) -> str | None:
    return intent.key if intent.method == "POST" else None  # PUT knows no key, and says the same each time


def _there(client: Client, order: str) -> bool:
    """Whether the order is there: numbers are random, so it is this one."""
    try:
        client.ask("GET", f"/v1/orders/{order}")
        return True
    except Declined as error:
        if error.absent:
            return False
        raise
