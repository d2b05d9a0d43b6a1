"""Changes: how many a second arrive, and how long one takes from its commit to the target's acceptance.

`make bench-changes`: Lockstep and PGSync follow the same database into the same OpenSearch, one after the
other. A change is seen when a realtime read of its document shows it: that read needs no refresh, so it is
the moment the target had accepted it. The limit writes the document itself after the commit, and that is all.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
from rich.table import Table

from bench.flights import Lockstep, World, world
from bench.measure import cpu_seconds, machine, percentile, save, size, wide
from bench.peer import PGSync, Unavailable

STEADY_RATE = 50
"""Changes a second while latency is measured: what a small product does."""

_PATIENCE = 180.0
_SAMPLE = 20
_LOOK = 0.05
"""Seconds. A realtime read makes the server refresh, so looking all the time would slow what is looked at."""


class Watched(NamedTuple):
    """Where the marker of a changed flight is found: in which index, under which name."""

    at: str
    field: str


class Eyes:
    """Realtime reads of documents over one connection."""

    def __init__(self, world: World, watched: Watched) -> None:
        parts = urlsplit(world.search.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._watched = watched

    def markers(self, ids: Sequence[int]) -> dict[int, Any]:
        """The marker that each document holds now, None where there is no document."""
        field = self._watched.field
        path = f"/{self._watched.at}/_mget?_source_includes={field}&realtime=true"
        body = json.dumps({"ids": [str(one) for one in ids]})
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        return {int(one["_id"]): one.get("_source", {}).get(field) for one in answer.get("docs", ())}

    def waiting(self, wanted: dict[int, int]) -> list[int]:
        """Which documents do not hold their marker yet."""
        found: dict[int, Any] = {}
        ids = list(wanted)
        for at in range(0, len(ids), 1_000):
            found |= self.markers(ids[at : at + 1_000])
        return [one for one, marker in wanted.items() if found.get(one) != marker]


def latencies(world: World, watched: Watched, flights: int, seconds: float, first: int) -> list[float]:
    """Steady single-row changes; for each, the time from its commit until seen. Raises TimeoutError."""
    random_ = random.Random(first)
    eyes = Eyes(world, watched)
    pending: dict[int, tuple[int, float]] = {}
    lock = threading.Lock()
    done = threading.Event()
    seen: list[float] = []
    lost: list[int] = []

    def watch() -> None:
        while not (done.is_set() and not pending):
            with lock:
                asked = dict(pending)
            if not asked:
                time.sleep(0.001)
                continue
            found = eyes.markers(list(asked))
            now = time.perf_counter()
            for one, (marker, committed) in asked.items():
                if found.get(one) == marker:
                    seen.append(now - committed)
                elif now - committed > _PATIENCE:
                    lost.append(one)
                else:
                    continue
                with lock:
                    del pending[one]

    watcher = threading.Thread(target=watch)
    watcher.start()
    with psycopg.connect(world.database, autocommit=True) as connection:
        begun = time.perf_counter()
        for number in range(int(seconds * STEADY_RATE)):
            due = begun + number / STEADY_RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            one = random_.randint(1, flights)
            with lock:
                if one in pending:
                    continue
            marker = first + number
            connection.execute("UPDATE flights SET air_time = %s WHERE id = %s", (marker, one))
            with lock:
                pending[one] = (marker, time.perf_counter())
    done.set()
    watcher.join()
    if lost:
        raise TimeoutError(f"{len(lost)} changes were not seen within {_PATIENCE:.0f} s")
    return seen


def drain(
    world: World, watched: Watched, changes: dict[int, int], apply: Callable[[psycopg.Connection[Any]], None]
) -> float:
    """Seconds from the first commit of `apply` until every document holds its marker. Raises TimeoutError."""
    eyes = Eyes(world, watched)
    begun = time.perf_counter()
    with psycopg.connect(world.database) as connection:
        apply(connection)
    sample = dict(list(changes.items())[-_SAMPLE:])  # committed last
    while time.perf_counter() - begun < _PATIENCE:
        if not eyes.waiting(sample):
            at = time.perf_counter()
            rest = eyes.waiting(changes)
            if not rest:
                return at - begun
            sample = {one: changes[one] for one in rest[:_SAMPLE]}
        time.sleep(_LOOK)
    raise TimeoutError(f"{len(eyes.waiting(changes)):,} of {len(changes):,} documents never came")


def roots(flights: int, count: int, first: int) -> tuple[dict[int, int], Any]:
    """So many flights changed, each once, in transactions of ten."""
    ids = random.Random(first).sample(range(1, flights + 1), count)
    markers = {one: first + at for at, one in enumerate(ids)}

    def apply(connection: psycopg.Connection[Any]) -> None:
        for at in range(0, count, 10):
            for one in ids[at : at + 10]:
                connection.execute("UPDATE flights SET air_time = %s WHERE id = %s", (markers[one], one))
            connection.commit()

    return markers, apply


def measure(world: World, watched: Watched, flights: int, seconds: float, burst: int) -> dict[str, Any]:
    """Latency under a steady trickle, then the rate at which a burst drains."""
    found: dict[str, Any] = {}
    seen = latencies(world, watched, flights, seconds, first=1_000_000)
    found["steady"] = len(seen)
    found["p50_ms"] = round(percentile(seen, 0.50) * 1e3, 1)
    found["p99_ms"] = round(percentile(seen, 0.99) * 1e3, 1)
    markers, apply = roots(flights, burst, first=2_000_000)
    took = drain(world, watched, markers, apply)
    found["burst"] = burst
    found["changes_per_second"] = round(burst / took)
    return found


def lockstep(world: World, flights: int, seconds: float, burst: int) -> dict[str, Any]:
    world.wipe()
    run = Lockstep(world, world.search.url, once=False)
    run.go()
    _loaded(world, "flights", flights)
    before = cpu_seconds(run.pid)
    found = measure(world, Watched("flights", "minutes"), flights, seconds, burst)
    found["own_cpu_us_per_change"] = round((cpu_seconds(run.pid) - before) / _changes(found) * 1e6)
    run.stop()
    return found


def pgsync(world: World, flights: int, seconds: float, burst: int) -> dict[str, Any]:
    world.wipe()
    with PGSync(world) as peer:
        pid = peer.follow()
        _loaded(world, peer.index, flights)
        time.sleep(2)  # it begins to listen after its load
        before = cpu_seconds(pid)
        found = measure(world, Watched(peer.index, "air_time"), flights, seconds, burst)
        found["own_cpu_us_per_change"] = round((cpu_seconds(pid) - before) / _changes(found) * 1e6)
    return found


def limit(world: World, flights: int, seconds: float, burst: int) -> dict[str, Any]:
    """The database's own pace, and a client that tells the target by itself, right after each commit."""
    world.wipe()
    world.call("PUT", "bare", {"settings": {"number_of_shards": 1}})
    parts = urlsplit(world.search.url)
    target = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    took: list[float] = []
    with psycopg.connect(world.database, autocommit=True) as connection:
        for number in range(int(seconds * STEADY_RATE)):
            connection.execute("UPDATE flights SET air_time = %s WHERE id = %s", (number, number + 1))
            begun = time.perf_counter()
            target.request(
                "PUT", f"/bare/_doc/{number}", b'{"minutes":1}', {"Content-Type": "application/json"}
            )
            target.getresponse().read()
            took.append(time.perf_counter() - begun)
    _, apply = roots(flights, burst, first=3_000_000)
    begun = time.perf_counter()
    with psycopg.connect(world.database) as connection:
        apply(connection)
    rate = burst / (time.perf_counter() - begun)
    return {
        "steady": len(took),
        "p50_ms": round(percentile(took, 0.50) * 1e3, 1),
        "p99_ms": round(percentile(took, 0.99) * 1e3, 1),
        "burst": burst,
        "changes_per_second": round(rate),
    }


def _changes(found: dict[str, Any]) -> int:
    return int(found["steady"] + found["burst"])


def _loaded(world: World, index: str, flights: int) -> None:
    deadline = time.monotonic() + 600
    while world.count(index) < flights:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{index} was not loaded within ten minutes")
        time.sleep(0.5)


@contextlib.contextmanager
def _reported(rivals: dict[str, Any], name: str) -> Iterator[None]:
    """A rival that fails is shown with its reason; the others are measured all the same."""
    try:
        yield
    except (TimeoutError, RuntimeError, Unavailable) as error:
        rivals[name] = {"failed": str(error)}


def main() -> None:
    name, flights = size(20_000, 200_000)
    seconds, burst = (20.0, 10_000) if name == "small" else (60.0, 100_000)
    console = wide()
    console.print(
        f"Changes of {flights:,} flights: {seconds:.0f} s at {STEADY_RATE}/s, then {burst:,} at once …"
    )
    facts = machine()
    rivals: dict[str, Any] = {}
    with world(flights) as servers:
        for rival, run in (("limit", limit), ("lockstep", lockstep), ("pgsync", pgsync)):
            with _reported(rivals, rival):
                rivals[rival] = run(servers, flights, seconds, burst)
    ratio = None
    if "changes_per_second" in rivals["lockstep"] and "changes_per_second" in rivals["pgsync"]:
        ratio = round(rivals["lockstep"]["changes_per_second"] / rivals["pgsync"]["changes_per_second"], 2)
    console.print(table(rivals, ratio))
    path = save("changes", {"size": name, "machine": facts, "rivals": rivals, "lockstep_to_pgsync": ratio})
    console.print(f"Load before: {facts['load_before']}. Written to {path.relative_to(path.parents[2])}.")


def table(rivals: dict[str, Any], ratio: float | None) -> Table:
    titles = {
        "limit": "committing, and telling the target oneself",
        "lockstep": "Lockstep",
        "pgsync": "PGSync",
    }
    shown = Table(title="From commit to accepted by OpenSearch")
    for column in ("", "changes/s", "p50 ms", "p99 ms", "CPU µs/change"):
        shown.add_column(column, justify="left" if not column else "right")
    for rival, found in rivals.items():
        if "failed" in found:
            shown.add_row(titles[rival], found["failed"])
            continue
        shown.add_row(
            titles[rival],
            f"{found['changes_per_second']:,}",
            str(found["p50_ms"]),
            str(found["p99_ms"]),
            str(found.get("own_cpu_us_per_change", "–")),
        )
    if ratio:
        shown.caption = f"Lockstep ÷ PGSync {ratio:.1f} in changes a second"
    return shown


if __name__ == "__main__":
    main()
