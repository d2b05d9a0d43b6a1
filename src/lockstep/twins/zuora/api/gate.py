"""What every request passes: faults, limits, token, idempotency; and only then its handler, on a thread."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..engine.tree import Refused
from ..faults import Fault
from ..forms import decode, encode
from ..tenant import Tenant
from ..users import SERVICE
from .call import Answer, Call, Route
from .tokens import Tokens
from .work import Work, refused

_LOG = logging.getLogger(__name__)


class Gate:
    """The ASGI application of one tenant."""

    def __init__(self, tenant: Tenant, routes: Sequence[Route]) -> None:
        self.tenant = tenant
        self.tokens = Tokens(tenant)
        self._work = Work()
        self._routes = [(re.compile(pattern_of(one.template)), one) for one in routes]
        self._threads = ThreadPoolExecutor(64, "request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._threads)
            return
        request = Request(scope, receive)
        headers = {"Zuora-Request-Id": str(uuid.uuid4())}
        if track := request.headers.get("zuora-track-id"):
            headers["Zuora-Track-Id"] = track[:64]
        answer, cut = await self._answer(request, headers)
        body = answer.body if isinstance(answer.body, bytes) else encode(answer.body)
        headers |= answer.headers
        media = headers.pop("Content-Type", "application/json")
        response = Response(body, answer.status, headers, media)
        if cut:
            response.headers["content-length"] = str(len(body) + 1)
            await send({"type": "http.response.start", "status": 200, "headers": response.raw_headers})
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return  # the server closes a connection whose answer is not whole
        await response(scope, receive, send)

    async def _answer(self, request: Request, headers: dict[str, str]) -> tuple[Answer, bool]:
        """The answer, and whether the connection is to end within it."""
        method, path, data = request.method, request.scope["path"], await request.body()
        settings = self.tenant.settings
        route, params = self._find(method, path)
        control = path == "/twin" or path.startswith("/twin/")
        if not control:
            self.tenant.counts[f"{method} {route.template if route else path}"] += 1
        if not control:
            budget = self.tenant.limits.spend(settings, token=path == "/oauth/token")
            headers |= {
                "RateLimit-Limit": f"{budget.limit}, {budget.limit};w=60",
                "RateLimit-Remaining": str(budget.remaining),
                "RateLimit-Reset": str(budget.reset),
            }
            if budget.over:
                return _too_many("The request exceeded the rate limit.", budget.reset), False
        met = None if control else self.tenant.faults.met(method, path)
        if met is not None and (said := self._before(met)) is not None:
            return said, False
        if path == "/oauth/token" and method == "POST":
            return self.tokens.grant(data), False
        user = SERVICE.id if control else self.tokens.user(request.headers.get("authorization", ""))
        if user is None:
            return _protected(), False
        if route is None:
            return refused(501, f"The stand-in has no {method} {path}. Its README lists what it has."), False
        said_headers = {**request.headers, "x-base": str(request.base_url).rstrip("/")}
        call = Call(self.tenant, method, path, params, request.query_params.multi_items(), said_headers)
        call.user = user
        if data:
            try:
                call.body = decode(data)
            except ValueError as error:
                return route.no(Refused(90, f"the body is no JSON: {error}"), route.resource), False
        return await self._enter(call, route, met, headers)

    async def _enter(
        self, call: Call, route: Route, met: Fault | None, headers: dict[str, str]
    ) -> tuple[Answer, bool]:
        room = self.tenant.limits.enter(self.tenant.settings, heavy=route.heavy)
        kind = "Big Process" if route.heavy else "Tenant"
        if room is None:
            return _too_many("Your total number of concurrent requests exceeded the limit.", 120), False
        headers |= {"Concurrency-Limit-Type": kind, "Concurrency-Limit-Limit": str(room.limit)}
        headers["Concurrency-Limit-Remaining"] = str(room.remaining)
        try:
            return await self._run(call, route, met), met is not None and met.kind == "cut"
        finally:
            self.tenant.limits.leave(heavy=route.heavy)

    async def _run(self, call: Call, route: Route, met: Fault | None) -> Answer:
        loop = asyncio.get_running_loop()
        kind = met.kind if met is not None else None
        if (said := await loop.run_in_executor(self._threads, self._work.begin, call)) is not None:
            return said
        if kind == "timeout_lost":
            self._work.forget(call)
            return _gateway()
        if met is not None and kind == "timeout":
            self._threads.submit(self._work.late, call, route, met.after)
            return _gateway()
        doing = loop.run_in_executor(
            self._threads, partial(self._work.do, call, route, locked=kind == "lock")
        )
        try:
            return await asyncio.wait_for(asyncio.shield(doing), self.tenant.settings.gateway_seconds)
        except TimeoutError:
            return _gateway()
        except Exception:  # a defect of the stand-in; nothing of the request holds
            _LOG.exception("%s %s failed", call.method, call.path)
            return refused(500, "The stand-in failed: see what it logged.")

    def _before(self, met: Fault) -> Answer | None:
        """The answer of a fault that keeps the request from being looked at."""
        wait = max(round(met.after), 1)
        if met.kind == "token":
            self.tokens.expire()
            return _protected()
        if met.kind == "429":
            return _too_many("The request exceeded the rate limit.", wait)
        if met.kind == "concurrent":
            return _too_many("Your total number of concurrent requests exceeded the limit.", wait)
        if met.kind == "500":
            return refused(500, "An internal error occurred.")
        if met.kind == "503":
            return Answer(b"<html>503 Service Temporarily Unavailable</html>", 503)
        return None

    def _find(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        for pattern, route in self._routes:
            if route.method == method and (found := pattern.fullmatch(path)):
                return route, found.groupdict()
        return None, {}


def pattern_of(template: str) -> str:
    """The regular expression of a path, with a group for each of its parts in braces."""
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)) + "/?"


def _gateway() -> Answer:
    return Answer(json.dumps({"message": "Gateway timeout"}).encode(), 504)


def _protected() -> Answer:
    said = "this resource is protected, please sign in first"
    return Answer({"success": False, "reasons": [{"code": 90000011, "message": said}]}, 401)


def _too_many(message: str, after: int) -> Answer:
    body = {"code": "REQUEST_EXCEEDED_LIMIT", "message": message}
    reasons = [{"code": 50000070, "message": message}]
    return Answer({**body, "success": False, "reasons": reasons}, 429, {"Retry-After": str(after)})


async def _lifespan(receive: Receive, send: Send, threads: ThreadPoolExecutor) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            threads.shutdown(wait=False)
            await send({"type": "lifespan.shutdown.complete"})
            return
