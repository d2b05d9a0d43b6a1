"""Checks across a translation: PostgreSQL → OpenSearch and PostgreSQL → PostgreSQL, by every method."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from rich.table import Table

from bench.flights import World
from bench.measure import median, rounds
from bench.verify.people import TABLES, fill

ROUNDS = 3
_RAW = "SELECT sum(hashtextextended(t::text, 0)) FROM {} t"


class Side:
    """One database with its target and state: what a check takes of it."""

    def __init__(self, world: World, kind: str, documents: int) -> None:
        self._world = world
        self._kind = kind
        self._state = tempfile.TemporaryDirectory(prefix="lockstep-bench-")
        self._name = f"people_{kind}_{documents}"
        self.database = world.postgres.database(self._name)
        url = world.search.url if kind == "search" else self.database
        self._target = f"{kind}|{url}|{self._name}"
        self.documents = documents
        fill(self.database, documents)
        self.filled = self.job("fill")
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def job(self, name: str) -> dict[str, Any]:
        """See `child`."""
        ended = subprocess.run(
            [sys.executable, "-m", "bench.verify.child", self.database, self._target, self._state.name, name],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        return dict(json.loads(ended.stdout.splitlines()[-1]))

    def clean(self, method: str) -> dict[str, Any]:
        """A check that must find nothing, and by its method."""
        found = self.job(method)
        if found["counts"] or (found["notes"] and method != "sample"):
            raise RuntimeError(f"the {method} check of {self._name} says {found}")
        return found

    def planted(self) -> dict[str, Any]:
        """A fast check that must find the one record that is gone, which is then put back."""
        put_back = self._removed(self.documents // 2)
        found = self.job("fast")
        put_back()
        if found["counts"] != {"missing": 1}:
            raise RuntimeError(f"one record is missing, and the check says {found}")
        return found

    def _removed(self, key: int) -> Callable[[], None]:
        if self._kind == "search":
            query = {"query": {"match_phrase": {"email": f"u{key}@example.com"}}}
            (hit,) = self._world.call("POST", f"{self._name}/_search", query)["hits"]["hits"]
            path = f"{hit['_index']}/_doc/{hit['_id']}?refresh=true"
            self._world.call("DELETE", path)
            return lambda: self._world.call("PUT", path, hit["_source"])
        table = f"out.{self._name}"
        self._execute(
            f"CREATE TABLE out.kept AS SELECT * FROM {table} WHERE id = {key}",
            f"DELETE FROM {table} WHERE id = {key}",
        )
        return lambda: self._execute(f"INSERT INTO {table} SELECT * FROM out.kept", "DROP TABLE out.kept")

    def raw(self, *, serial: bool) -> float:
        """Seconds of the server's own hash over all rows of the source tables."""
        with psycopg.connect(self.database) as connection:
            if serial:
                connection.execute("SET max_parallel_workers_per_gather = 0")
            begun = time.perf_counter()
            for table in TABLES:
                connection.execute(_RAW.format(table).encode()).fetchall()
            return time.perf_counter() - begun

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self.database) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def measured(world: World, kind: str, documents: int) -> dict[str, Any]:
    """Seconds of everything, and the ratios that count."""
    tenth = Side(world, kind, documents // 10).clean("fast")
    side = Side(world, kind, documents)
    took: dict[str, list[float]] = {name: [] for name in ("fast", "planted", "raw", "raw_serial")}
    peaks: list[float] = []

    def fast(_: int) -> None:
        found = side.clean("fast")
        took["fast"].append(found["seconds"])
        peaks.append(found["peak_mib"])

    rounds(
        ROUNDS,
        lambda _: took["raw"].append(side.raw(serial=False)),
        lambda _: took["raw_serial"].append(side.raw(serial=True)),
        fast,
        lambda _: took["planted"].append(side.planted()["seconds"]),
    )
    seconds = {name: round(median(all_), 3) for name, all_ in took.items()}
    whole = {name: side.job(name) for name in ("source", "target")}
    whole |= {name: side.clean(name) for name in ("sample", "deep")}
    seconds |= {name: round(found["seconds"], 2) for name, found in whole.items()}
    slower = max(seconds["source"], seconds["target"])
    return {
        "documents": documents,
        "documents_per_second_loaded": round(documents / side.filled["seconds"]),
        "seconds": seconds,
        "fast_to_raw": round(seconds["fast"] / seconds["raw"], 2),
        "fast_to_raw_serial": round(seconds["fast"] / seconds["raw_serial"], 2),
        "planted_to_clean": round(seconds["planted"] / seconds["fast"], 2),
        "deep_to_slower_read": round(seconds["deep"] / slower, 2),
        "sample_to_deep": round(seconds["sample"] / seconds["deep"], 3),
        "fast_peak_mib": round(max(peaks)),
        "fast_peak_mib_of_a_tenth": round(tenth["peak_mib"]),
        "deep_peak_mib": round(whole["deep"]["peak_mib"]),
    }


def run(world: World, documents: int) -> dict[str, Any]:
    return {kind: measured(world, kind, documents) for kind in ("search", "table")}


def table(result: dict[str, Any]) -> Table:
    documents = result["search"]["documents"]
    shown = Table(title=f"{documents:,} users with company and tags, from PostgreSQL")
    for column in ("", "→ OpenSearch", "→ PostgreSQL", "goal"):
        shown.add_column(column, justify="left" if not column else "right")
    for words, name, goal in (
        ("fast ÷ raw sum(hash), parallel as the server likes", "fast_to_raw", "2.5"),
        ("fast ÷ raw sum(hash), serial", "fast_to_raw_serial", ""),
        ("fast with one record missing ÷ clean", "planted_to_clean", "1.3"),
        ("deep ÷ the slower of reading source or target once", "deep_to_slower_read", "1.5"),
        ("sample 1 % ÷ deep", "sample_to_deep", ""),
        ("peak MiB of a fast check", "fast_peak_mib", ""),
        ("peak MiB of a tenth of the records", "fast_peak_mib_of_a_tenth", "the same"),
    ):
        shown.add_row(words, *(f"{result[kind][name]:,}" for kind in ("search", "table")), goal)
    for name in result["search"]["seconds"]:
        shown.add_row(
            f"seconds: {name}", *(f"{result[kind]['seconds'][name]}" for kind in ("search", "table"))
        )
    return shown
