"""One request's work: in one transaction, with the answer that is kept for its repetition."""

from __future__ import annotations

import threading
import time
from hashlib import sha256

from ..engine.tree import Refused
from ..forms import decode, encode
from ..users import acting_as
from .call import Answer, Call, Route

KEPT_SECONDS = 24 * 3600


class Work:
    """What is under way in this process, by idempotency key."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, call: Call) -> Answer | None:
        """The answer to a request whose key has one, or is under way; else None, and it must be done."""
        key = self._key(call)
        if key is None:
            return None
        with self._lock:
            if key in self._running:
                return refused(409, "a request with the same Idempotency-Key is still being worked")
            with call.tenant.store.transaction():
                kept = call.tenant.store.kept(key, self._now(call) - KEPT_SECONDS)
            if kept is None:
                self._running.add(key)
                return None
        digest, status, body = kept
        if digest != self._digest(call):
            return refused(422, "the Idempotency-Key was used for a request with another body")
        return Answer(decode(body), status)

    def do(self, call: Call, route: Route, *, locked: bool = False) -> Answer:
        """Do what `begin` left to do. `locked`: another order holds the account, so that it must fail."""
        key, store = self._key(call), call.tenant.store
        account = None
        try:
            account = self._take(call, route)
            if isinstance(account, str):
                time.sleep(call.tenant.settings.order_seconds)
            with store.transaction():
                call.tenant.turn_day()
                try:
                    if locked or account is False:
                        raise Refused(50, "Operation failed due to a lock competition, please retry later.")
                    with store.transaction(), acting_as(call.user):
                        answer = route.handler(call)
                except Refused as error:
                    answer = route.no(error, route.resource)
                if key is not None:
                    store.keep(key, self._digest(call), answer.status, encode(answer.body), self._now(call))
            return answer
        finally:
            if isinstance(account, str):
                with call.tenant.busy_lock:
                    call.tenant.busy.discard(account)
            if key is not None:
                with self._lock:
                    self._running.discard(key)

    def late(self, call: Call, route: Route, after: float) -> None:
        """The same, some time after its answer was given up; the account stays locked until then."""
        account = self._take(call, route)
        time.sleep(after)
        if isinstance(account, str):
            with call.tenant.busy_lock:
                call.tenant.busy.discard(account)
        self.do(call, route)

    def forget(self, call: Call) -> None:
        """What was begun is not done."""
        key = self._key(call)
        with self._lock:
            self._running.discard(key or "")

    def _take(self, call: Call, route: Route) -> str | bool | None:
        """Lock the account an order is for: its number; None where none is, False where another has it."""
        number = route.account(call) if route.account is not None else None
        if number is None:
            return None
        with call.tenant.busy_lock:
            if number in call.tenant.busy:
                return False
            call.tenant.busy.add(number)
        return number

    def _key(self, call: Call) -> str | None:
        if call.method not in {"POST", "PATCH"}:
            return None
        return call.headers.get("idempotency-key")

    def _digest(self, call: Call) -> str:
        return sha256(f"{call.method} {call.path}\n".encode() + encode(call.body)).hexdigest()

    def _now(self, call: Call) -> float:
        return call.tenant.clock.now().timestamp()


def refused(status: int, message: str) -> Answer:
    return Answer({"success": False, "reasons": [{"code": 10000000 + status, "message": message}]}, status)
