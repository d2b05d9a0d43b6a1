"""The physical limit: bodies that are serialised already, sent by a client that does nothing else."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

Line = bytes
"""One document as two lines of a bulk request: what to do, and the body."""


class BulkClient:
    """Sends bulk requests over so many connections at once."""

    def __init__(self, url: str, index: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 9200)
        self._path = f"/{index}/_bulk?filter_path=errors"

    def send(self, documents: Sequence[Line], clients: int, per_request: int) -> float:
        """Sends all of them; the seconds it took. Raises when the server refused one."""
        requests = [
            b"".join(documents[at : at + per_request]) for at in range(0, len(documents), per_request)
        ]
        turn = itertools.count()
        failures: list[str] = []

        def work(_: int) -> None:
            connection = http.client.HTTPConnection(*self._address, timeout=120)
            while (at := next(turn)) < len(requests) and not failures:
                connection.request("POST", self._path, requests[at], {"Content-Type": "application/x-ndjson"})
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 200 or json.loads(said).get("errors"):
                    failures.append(said[:300].decode(errors="replace"))
            connection.close()

        begun = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(work, range(clients)))
        seconds = time.perf_counter() - begun
        if failures:
            raise RuntimeError(f"the server refused a bare bulk request: {failures[0]}")
        return seconds


class Recorder:
    """A proxy before a search server that remembers the documents of every bulk request it passes on: so the
    limit is measured with the very bytes that Lockstep sends."""

    def __init__(self, url: str) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        parts = urlsplit(url)
        address = (parts.hostname or "127.0.0.1", parts.port or 9200)
        self.documents: list[Line] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if "_bulk" in self.path:
                    recorder._remember(body)
                connection = http.client.HTTPConnection(*address, timeout=120)
                kept = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                connection.request(self.command, self.path, body, kept)
                answer = connection.getresponse()
                said = answer.read()
                connection.close()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type") or "application/json")
                self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(said)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _remember(self, body: bytes) -> None:
        lines = body.splitlines(keepends=True)
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            kind, said = next(iter(json.loads(action).items()))
            said.pop("_index", None)  # the index is in the path
            said.pop("require_alias", None)
            self.documents.append(json.dumps({kind: said}).encode() + b"\n" + document)
