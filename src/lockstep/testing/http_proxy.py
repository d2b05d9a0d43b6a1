"""An HTTP proxy that misbehaves on request, between a connector and its real server.

    with HttpProxy(server.url) as proxy:
        proxy.before = lambda path, body: (429, b"{}") if "_bulk" in path else None
        proxy.after = lambda path, body: Fault.CUT      # the server has done it, and nobody hears

It is a proxy and no mock: what it does not spoil is the real server's own answer.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self

import httpx

_NOT_PASSED_ON = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})


class Fault(Enum):
    """What a rule may ask for instead of an answer."""

    CUT = "the connection is closed without an answer"
    HALF = "the connection is closed after half of the answer's body"
    STALL = "nothing comes, until the proxy is closed"


Rule = Callable[[str, bytes], "tuple[int, bytes] | Fault | None"]
"""From path and body of a request to its fault, or to the status and body to answer with; None: no fault."""


class Request(NamedTuple):
    """A request that came in, whatever became of it."""

    method: str
    path: str
    body: bytes


class HttpProxy:
    """Forwards to the real server. `before` may answer instead of it, `after` once it has done its work.

    With `tls` it speaks HTTPS, with whatever certificate that context holds.
    """

    def __init__(self, real: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.before: Rule | None = None
        self.after: Rule | None = None
        self.requests: list[Request] = []
        self._closing = threading.Event()
        self._upstream = httpx.Client(base_url=real, timeout=60)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        self.port: int = self._server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    def bodies(self, part: str) -> list[bytes]:
        """The bodies of all requests so far whose path has this part."""
        return [request.body for request in self.requests if part in request.path]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._upstream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: Request, headers: dict[str, str]) -> tuple[Fault | None, int, bytes]:
        """The fault, if any, and the answer that it spoils."""
        spoilt = self.before(request.path, request.body) if self.before else None
        if isinstance(spoilt, tuple):
            return None, *spoilt
        if spoilt in (Fault.CUT, Fault.STALL):
            return spoilt, 0, b""
        said = self._upstream.request(request.method, request.path, content=request.body, headers=headers)
        spoilt = spoilt or (self.after(request.path, request.body) if self.after else None)
        if isinstance(spoilt, tuple):
            return None, *spoilt
        return spoilt, said.status_code, said.content

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = Request(self.command, self.path, body)
                proxy.requests.append(request)
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON
                }
                headers["accept-encoding"] = "identity"
                try:
                    fault, status, content = proxy._answer(request, headers)
                except httpx.HTTPError as error:
                    fault, status, content = None, 502, f"<html>{error}</html>".encode()
                if fault is Fault.STALL:
                    proxy._closing.wait()
                if fault in (Fault.STALL, Fault.CUT):
                    self.close_connection = True
                    return
                with contextlib.suppress(OSError):  # whoever asked may have gone
                    self.send_response(status)
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content if fault is None else content[: len(content) // 2])
                self.close_connection = self.close_connection or fault is Fault.HALF

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
