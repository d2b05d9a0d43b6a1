"""HTTP to the cluster: one pool of connections, and every failure as one of our errors.

Reading is repeated when the connection broke or the cluster was busy. A write never is: whether it may be
sent again is the engine's decision, which holds the lease.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx
import msgspec

from lockstep.errors import DeclarationError, Refused, SystemError_, TargetReplaced, Unreachable
from lockstep.systems.opensearch.flavour import Flavour
from lockstep.systems.opensearch.reasons import BUSY, block_mend, certificate_mend, reason, unreached_mend
from lockstep.systems.opensearch.wire import DECODER

Auth = tuple[str, str] | str | None
"""User and password, or the whole value of an Authorization header."""

Verify = bool | str | ssl.SSLContext
"""Whether, or with the certificates of which file, the server's certificate is verified."""

_TRIES = 4
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_JSON = {"content-type": "application/json"}
_NDJSON = {"content-type": "application/x-ndjson"}


class NotSent(Unreachable):
    """No connection could be made, so the cluster has seen nothing of the request."""


class Greeting(NamedTuple):
    """What a cluster says it is. Elasticsearch names no distribution; what is no cluster names nothing."""

    distribution: str | None
    version: str
    cluster: str | None


class Client:
    """A pool of connections to one cluster. Threads may share it."""

    def __init__(
        self, url: str, auth: Auth, verify: Verify, flavour: Flavour, *, timeout: float = 90.0
    ) -> None:
        self.flavour = flavour
        self._url = url
        headers = {"accept": "application/json"}
        if isinstance(auth, str):
            headers["authorization"] = auth
        if httpx.URL(url).host in _LOOPBACK:
            headers["accept-encoding"] = "identity"  # packing costs more time than the loopback saves
        self._http = httpx.Client(
            base_url=url,
            auth=auth if isinstance(auth, tuple) else None,
            headers=headers,
            verify=_trusting(verify) if isinstance(verify, str) else verify,
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_connections=16, keepalive_expiry=5.0),
        )

    def ask(self, method: str, path: str, body: Any = None, *, repeat: bool = True) -> Any:
        """The JSON of a good answer; None where the index does not exist. Raises everything else.

        `repeat=False` for what must not be done twice.
        """
        content = None if body is None else self.content(body)
        status, answer = self._answered(method, path, content, _TRIES if repeat else 1)
        return self._judged(status, answer)

    def ask_many(self, path: str, requests: Sequence[Any]) -> list[dict[str, Any]]:
        """The answers to many searches in one request, in order; each may hold an error of its own."""
        content = b"".join(self.content(one) + b"\n" for one in requests)
        answer = self._judged(*self._answered("POST", path, content, _TRIES, lines=True))
        found = answer.get("responses") if answer else None
        if not isinstance(found, list) or 2 * len(found) != len(requests):
            raise self.rubbish(repr(answer).encode())
        return found

    def _judged(self, status: int, answer: bytes) -> Any:
        if status == 404 and reason(answer).kind == "index_not_found_exception":
            return None
        if status not in (200, 201):
            raise self.failure(status, answer)
        return self.parse(answer)

    def greeting(self) -> Greeting:
        """What the cluster says it is. A stripped distribution does not greet; then others are asked."""
        status, answer = self._answered("GET", "/", None, _TRIES)
        if status == 405:
            nodes = self.ask("GET", "/_nodes/_local/http?filter_path=nodes.*.version") or {}
            state = self.ask("GET", "/_cluster/state/version?filter_path=cluster_uuid") or {}
            versions = [str(node.get("version")) for node in nodes.get("nodes", {}).values()]
            return Greeting(None, "".join(versions[:1]), state.get("cluster_uuid"))
        if status != 200:
            raise self.failure(status, answer)
        said = self.parse(answer)
        version = said.get("version")
        if not isinstance(version, dict):
            version = {}
        return Greeting(version.get("distribution"), str(version.get("number", "")), said.get("cluster_uuid"))

    def _answered(
        self, method: str, path: str, content: bytes | None, tries: int, *, lines: bool = False
    ) -> tuple[int, bytes]:
        """An answer of any kind but busy, tried for again. Raises Unreachable."""
        for attempt in range(1, tries + 1):
            try:
                status, answer = self.send(method, path, content, lines=lines)
                if status not in BUSY:
                    return status, answer
                failure: SystemError_ = self.failure(status, answer)
            except Unreachable as error:
                failure = error
            if attempt < tries:
                time.sleep(0.05 * 4 ** (attempt - 1))
        raise failure

    def send(
        self, method: str, path: str, content: bytes | None, *, lines: bool = False
    ) -> tuple[int, bytes]:
        """One request, once. Raises only if there is no whole answer."""
        try:
            answer = self._http.request(method, path, content=content, headers=_NDJSON if lines else _JSON)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    f"{self._url} shows a certificate that is not trusted: {error}",
                    certificate_mend(str(error), self.flavour.title),
                ) from error
            raise NotSent(
                f"{self._url} cannot be reached: {error or type(error).__name__}",
                unreached_mend(error),
            ) from error
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{self._url} did not answer in full: {type(error).__name__} {error}".rstrip(),
                "See the cluster's log and load; a run tries again by itself.",
            ) from error
        found = answer.status_code, answer.content
        del answer.stream  # it and the answer hold each other, and with them the megabytes that were sent
        return found

    def content(self, body: Any) -> bytes:
        """What to send of a request that is no record."""
        return msgspec.json.encode(body)

    def parse(self, answer: bytes) -> Any:
        """The JSON object of an answer, numbers exact."""
        try:
            value = DECODER.decode(answer)
        except msgspec.MsgspecError as error:
            raise self.rubbish(answer) from error
        if not isinstance(value, dict):
            raise self.rubbish(answer)
        return value

    def rubbish(self, answer: bytes) -> Unreachable:
        """An answer of 200 that is not what was asked for: a proxy's login page, half a body."""
        return Unreachable(
            f"{self._url} answered with something else than was asked: {answer[:80]!r}",
            "See what stands between Lockstep and the cluster: a proxy, a load balancer, a wrong port.",
        )

    def busy(self, why: str) -> Unreachable:
        """The error for a cluster that stays too busy."""
        return Unreachable(
            f"{self._url} is too busy: {why}",
            "See the cluster's load and its queues; Lockstep writes more slowly and tries again by itself.",
        )

    def failure(self, status: int, answer: bytes) -> SystemError_:
        """The error for an answer that is not a good one."""
        why = reason(answer)
        said = f"{self._url} answered {status}" + (f": {why}" if why else "")
        if status == 401:
            return Refused(said, "Give the right user and password, in the URL or as auth=.")
        if ("block" in why.kind or "FORBIDDEN/" in why.text) and status < 500:
            lift = f"Lift the block: {block_mend(why.text)}"
            return Unreachable(said, lift) if status == 429 else Refused(said, lift)
        if status == 403:
            return Refused(said, "Give the user the privileges that `lockstep check` lists.")
        if why.kind == "index_closed_exception":
            return Refused(f"{said}: index {why.of} is closed", f"Open it: POST /{why.of}/_open")
        if status == 404 and why.kind == "index_not_found_exception":
            return TargetReplaced(
                said, "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`."
            )
        if status in BUSY or status >= 500:
            return Unreachable(said, "See the cluster's health; a run tries again by itself.")
        return Refused(said, "Change what the cluster names; if it names nothing of yours, report this.")

    @property
    def closed(self) -> bool:
        return self._http.is_closed

    def close(self) -> None:
        self._http.close()


def _trusting(file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise DeclarationError(
            f"the certificate file {file} cannot be used: {error}",
            "Give the PEM file of the authority that signed the cluster's certificate.",
        ) from error
