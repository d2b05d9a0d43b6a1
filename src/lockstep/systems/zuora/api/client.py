"""HTTP to a Zuora tenant: one pool of connections, one token, and every failure as one of our errors.

Reading is repeated when the connection broke or the tenant was busy. What changes something is repeated only
where an answer says that nothing was done; else whether it may be sent again is its sender's decision.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import msgspec

from lockstep.errors import Refused
from lockstep.systems.zuora.api.failures import Declined, Failed, Limited, NotDone, Unsure, said_no
from lockstep.systems.zuora.api.pace import Pace
from lockstep.systems.zuora.api.tokens import Token

T = TypeVar("T")

VERSION = "2025-08-12"
"""Of the API, sent with each request: the one whose documents were read."""

Params = Sequence[tuple[str, str]]
"""The query: names may come again, as filter[] does."""

_TRIES = 5
_BUSY_TRIES = 8
_TOKENS = 6
"""So many are tried, over one and a half seconds: one may be ended as soon as it is given."""
_GATEWAY = 130.0
"""Seconds to wait for an answer: Zuora's own gateway gives up after 120."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Client:
    """Requests to one tenant. Threads may share it. `calls` counts them, by method, tokens as "token"."""

    def __init__(self, url: str, client_id: str, client_secret: str, *, timeout: float = _GATEWAY) -> None:
        self._url = url
        self._credentials = (client_id, client_secret)
        self._token = Token(self._fetched)
        self._pace = Pace()
        self.calls: Counter[str] = Counter()
        self._http = httpx.Client(
            base_url=url,
            headers={"accept": "application/json", "zuora-version": VERSION},
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_connections=32, keepalive_expiry=5.0),
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params = (),
        key: str | None = None,
        reads: bool | None = None,
    ) -> dict[str, Any]:
        """The JSON object of an answer that says yes; numbers are ints and Decimals.

        body     JSON: bytes as they are, anything else encoded
        key      sent as Idempotency-Key
        reads    it changes nothing, so it may be repeated whatever happens; by default what is a GET

        Raises NotDone and Declined where it certainly did nothing, Unsure where nobody can say.
        """
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        safe = method == "GET" if reads is None else reads
        return self._repeated(lambda: self._asked(method, path, content, params, key), safe, key)

    def document(self, path: str, params: Params = ()) -> bytes:
        """What a GET answers that says yes, where that is XML. Raises as `ask` does."""
        return self._repeated(lambda: self._fetched_document(path, params), True, None)

    def _fetched_document(self, path: str, params: Params) -> bytes:
        answer = self._authorised("GET", path, None, params, None, {"accept": "text/xml, application/json"})
        asked = f"GET {path}"
        self._assert_answered(answer, asked)
        if answer.status_code >= 400 or answer.content.lstrip()[:1] == b"{":
            raise said_no(_object(answer) or {"message": f"status {answer.status_code}"}, asked)
        return answer.content

    def _repeated(self, once: Callable[[], T], safe: bool, key: str | None) -> T:
        """Until there is an answer, as far as it may be asked again."""
        broken = busy = 0
        while True:
            try:
                return once()
            except NotDone as error:
                busy += 1
                if busy >= _BUSY_TRIES or (key is not None and isinstance(error, Failed)):
                    raise
                self._pause(error, busy)
            except Unsure as error:
                broken += 1
                if not safe or broken >= _TRIES:
                    raise
                self._pause(error, broken)

    def _pause(self, error: NotDone | Unsure, tries: int) -> None:
        """Before the next try; a limit's own Retry-After is waited for by whoever sends next."""
        if not isinstance(error, Limited):
            time.sleep(min(0.05 * 2**tries, 3.0))

    def _asked(
        self, method: str, path: str, content: bytes | None, params: Params, key: str | None
    ) -> dict[str, Any]:
        return self._judged(self._authorised(method, path, content, params, key, {}), f"{method} {path}")

    def _authorised(
        self,
        method: str,
        path: str,
        content: bytes | None,
        params: Params,
        key: str | None,
        headers: dict[str, str],
    ) -> httpx.Response:
        """One request, and another one if its token was not taken any more."""
        for attempt in range(_TOKENS):
            if attempt > 1:
                time.sleep(0.025 * 2**attempt)
            header = self._token.header()
            answer = self._sent(method, path, content, params, {**headers, "authorization": header}, key)
            if answer.status_code != 401:
                return answer
            self._token.spent(header)
        raise Declined(
            f"{method} {path}: {self._url} does not take the token that it has just given",
            "Look at the OAuth client's user in Zuora: it may be locked, or its role may lack API access.",
        )

    def _judged(self, answer: httpx.Response, asked: str) -> dict[str, Any]:
        self._assert_answered(answer, asked)
        status, body = answer.status_code, _object(answer)
        if body is None:
            raise Unsure(
                f"{asked}: {self._url} answered with status {status} and no JSON object",
                "See whether the URL is that of the API (https://rest.zuora.com), and what stands before it.",
            )
        if status >= 400 or body.get("success") is False or body.get("Success") is False:
            raise said_no(body, asked)
        return body

    def _limited(self, answer: httpx.Response, problem: str) -> Limited:
        """To raise; nothing is asked for as long as the answer says."""
        seconds = answer.headers.get("retry-after", "")
        self._pace.quiet(float(seconds) if seconds.isdigit() else 1.0)
        return Limited(problem, "It is waited for.")

    def _assert_answered(self, answer: httpx.Response, asked: str) -> None:
        """Raises where a limit or a gateway answered, and not the API."""
        status = answer.status_code
        if status == 429:
            raise self._limited(answer, f"{asked}: the tenant's limit of requests is reached")
        if status == 409:
            raise Unsure(f"{asked}: the same request is still at work", "It is asked again.")
        if status >= 500:
            raise Unsure(
                f"{asked}: {self._url} answered with status {status}",
                "Lockstep asks again. If it stays, see the status page of your Zuora data centre.",
            )

    def _sent(
        self,
        method: str,
        path: str,
        content: bytes | None,
        params: Params,
        headers: dict[str, str],
        key: str | None,
    ) -> httpx.Response:
        """One request, once. Raises only where there is no whole answer."""
        self._pace.wait()
        self.calls[method] += 1
        if key is not None:
            headers["idempotency-key"] = key
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            answer = self._http.request(method, path, content=content, params=tuple(params), headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._unreached(error) from None
        except httpx.HTTPError as error:
            raise Unsure(
                f"{method} {path}: {self._url} did not answer in full: {type(error).__name__}",
                "Lockstep asks again by itself. See the network, and your Zuora data centre's status page.",
            ) from None
        self._pace.heard(answer.headers)
        return answer

    def _unreached(self, error: httpx.HTTPError) -> NotDone | Refused:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return Refused(
                f"{self._url} shows a certificate that is not trusted",
                "See whether something between here and there opens the connections.",
            )
        return NotDone(
            f"{self._url} cannot be reached: {error or type(error).__name__}",
            "See the URL and the network.",
        )

    def _fetched(self) -> tuple[str, float]:
        """Another token, and for how many seconds it holds. Nothing that is raised holds the secret."""
        form = {"grant_type": "client_credentials"}
        form["client_id"], form["client_secret"] = self._credentials
        self._pace.rest()
        self.calls["token"] += 1
        try:
            answer = self._http.post("/oauth/token", data=form)
        except httpx.HTTPError as error:
            raise self._unreached(error) from None
        if answer.status_code in (400, 401, 403):
            raise Refused(
                f"{self._url} does not take the client id and secret",
                "Make an OAuth client for an API user in Zuora (Settings, Administration, Manage Users), and "
                "set its id and secret. Ids of one data centre or sandbox hold there only.",
            )
        if answer.status_code == 429:
            raise self._limited(answer, "too many tokens were asked for")
        try:
            body = _decoder.decode(answer.content)
            return str(body["access_token"]), float(body["expires_in"])
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            raise NotDone(
                f"{self._url} gave no token: status {answer.status_code}",
                "See whether the URL is that of the API, such as https://rest.zuora.com.",
            ) from None

    def close(self) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return f"Client({self._url!r})"


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of an answer, if it is one."""
    try:
        body = _decoder.decode(answer.content)
    except msgspec.MsgspecError:
        return None
    return body if isinstance(body, dict) else None
