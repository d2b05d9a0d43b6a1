"""Runs the soak and says how it went."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg

import lockstep as ls
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import OpenSearchServer, PostgresServer
from tests.soak.checks import Checks, checked
from tests.soak.faults import Faults, Keeper
from tests.soak.load import Load
from tests.soak.world import PEOPLE, ROWS, TABLES, TALKS, SoakWorld, held, truth

NAME = "soak"


class Sample(msgspec.Struct, frozen=True):
    """How large things were at a moment: seconds since the start, kilobytes, kilobytes, hints."""

    at: float
    rss: int
    journal: int
    behind: int


class Outcome(msgspec.Struct, frozen=True):
    """Everything a soak found. `wrong` is empty when all went as it must."""

    seconds: float
    changes: int
    changes_per_second: float
    transactions: dict[str, int]
    faults: dict[str, int]
    starts: int
    ended: dict[int, int]
    settled_in: float
    rss_first: int
    rss_last: int
    rss_peak: int
    journal: int
    journal_bytes_per_change: float
    documents: dict[str, int]
    retained_wal: int
    stuck: int
    checks: dict[str, int]
    wrong: list[str]


def soak(
    seconds: float,
    every: float,
    rate: int = 500,
    seed: int = 1,
    *,
    root: Path,
    postgres: PostgresServer,
    opensearch: OpenSearchServer,
) -> Outcome:
    """Load for some seconds, with a fault every so many, then agreement. The servers are killed in it."""
    with contextlib.ExitStack() as stack:
        database = postgres.database(NAME)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute((TABLES + ROWS).encode())
        to_postgres = stack.enter_context(Proxy("127.0.0.1", postgres.port))
        to_opensearch = stack.enter_context(Proxy("127.0.0.1", opensearch.port))
        world = SoakWorld(
            root,
            database.replace(f":{postgres.port}/", f":{to_postgres.port}/"),
            f"http://127.0.0.1:{to_opensearch.port}",
            NAME,
        )
        keeper = Keeper(world, root / "run.log")
        faults = Faults(
            keeper, postgres, opensearch, to_postgres, to_opensearch, NAME, seed, min(5.0, every / 3)
        )
        load = Load(database, rate, seed)
        with _kept(keeper), _sampled(world, keeper) as samples, checked(world, keeper) as checks:
            load.start()
            try:
                done = _hurt(faults, seconds, every)
            finally:
                load.stop()
            settled_in, late = _settled(world, keeper)
        return _judged(world, database, load, keeper, samples, done, settled_in, late, checks)


@contextlib.contextmanager
def _kept(keeper: Keeper) -> Iterator[None]:
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()


def _hurt(faults: Faults, seconds: float, every: float) -> Counter[str]:
    """One fault after another, in turn, each at its time."""
    done: Counter[str] = Counter()
    kinds = list(faults.kinds().items())
    begun = time.monotonic()
    for number in range(int(seconds / every)):
        time.sleep(max(begun + (number + 0.5) * every - time.monotonic(), 0))
        name, fault = kinds[number % len(kinds)]
        fault()
        done[name] += 1
    time.sleep(max(begun + seconds - time.monotonic(), 0))
    return done


@contextlib.contextmanager
def _sampled(world: SoakWorld, keeper: Keeper) -> Iterator[list[Sample]]:
    samples: list[Sample] = []
    stop = threading.Event()
    begun = time.monotonic()

    def look() -> None:
        while not stop.wait(1.0):
            pid = keeper.pid
            if pid is not None:
                with contextlib.suppress(OSError, IndexError, sqlite3.Error, ls.LockstepError):
                    samples.append(
                        Sample(time.monotonic() - begun, _rss(pid), _journal(world), _behind(world))
                    )

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _rss(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _journal(world: SoakWorld) -> int:
    return sum(file.stat().st_size for file in world.state.glob("journal.db*")) // 1024


def _behind(world: SoakWorld) -> int:
    """Hints that wait, of the mapping that is furthest behind."""
    return max((one.waiting_live + one.waiting_bulk for one in ls.status(world.state).mappings), default=0)


def _settled(world: SoakWorld, keeper: Keeper) -> tuple[float, str]:
    """Waits, the run going on undisturbed, until nothing waits any more: seconds, and what is wrong."""
    begun = time.monotonic()
    quiet = 0
    while quiet < 5:
        if time.monotonic() - begun > 120:
            return time.monotonic() - begun, f"two minutes after the load {_behind(world)} hints still wait"
        time.sleep(0.2)
        quiet = quiet + 1 if keeper.pid is not None and _behind(world) == 0 else 0
    return time.monotonic() - begun, ""


def _judged(
    world: SoakWorld,
    database: str,
    load: Load,
    keeper: Keeper,
    samples: list[Sample],
    done: Counter[str],
    settled_in: float,
    late: str,
    checks: Checks,
) -> Outcome:
    wrong = ([late] if late else []) + checks.wrong
    pipeline = world.pipeline()
    result = ls.run(pipeline, once=True)
    if result.stopped:
        wrong.append(f"stopped: {result.stopped}")
    documents: dict[str, int] = {}
    with psycopg.connect(database, autocommit=True) as connection:
        for mapping, question in (("people", PEOPLE), ("talks", TALKS)):
            wanted, found = truth(connection, question), held(pipeline, mapping)
            documents[mapping] = len(found)
            for key in wanted.keys() | found.keys():
                if wanted.get(key) != found.get(key):
                    wrong.append(f"{mapping} {key}: {found.get(key)} where {wanted.get(key)}")
            for method in ("fast", "deep"):
                report = ls.verify(pipeline, mapping, method=method)
                if not report.agreement:
                    wrong.append(f"verify {mapping} {method}: {report.counts} {report.divergences[:3]}")
        (retained,) = connection.execute(
            "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::int8"
            " FROM pg_replication_slots"
        ).fetchone() or (0,)
    stuck = len(ls.stuck(world.state))
    if stuck:
        wrong.append(f"{stuck} keys are stuck: {ls.stuck(world.state)[:3]}")
    by_itself = {code: times for code, times in keeper.ended.items() if code != -9}
    if by_itself:
        wrong.append(f"runs ended by themselves, by exit code: {by_itself}")
    changes = load.counts.pop("changes")
    if load.seconds >= 300:  # shorter ones are over before memory could tell
        wrong += _grown(samples)
    third = max(len(samples) // 3, 1)
    sizes = [sample.rss for sample in samples] or [0]
    journal = _journal(world)
    return Outcome(
        seconds=round(load.seconds, 1),
        changes=changes,
        changes_per_second=round(changes / load.seconds, 1),
        transactions=dict(load.counts),
        faults=dict(done),
        starts=keeper.starts,
        ended=dict(keeper.ended),
        settled_in=round(settled_in, 1),
        rss_first=max(sizes[:third]),
        rss_last=max(sizes[-third:]),
        rss_peak=max(sizes),
        journal=journal,
        journal_bytes_per_change=round(journal * 1024 / max(changes, 1), 1),
        documents=documents,
        retained_wal=int(retained),
        stuck=stuck,
        checks=dict(checks.counts),
        wrong=wrong[:20],
    )


def _grown(samples: list[Sample]) -> list[str]:
    third = len(samples) // 3
    first, last = max(one.rss for one in samples[:third]), max(one.rss for one in samples[-third:])
    if last > 1.25 * first:
        return [f"memory grew from {first // 1024} MB in the first third to {last // 1024} MB in the last"]
    return []


def table(outcome: Outcome) -> str:
    """For a person."""
    rows: list[tuple[str, Any]] = [
        ("load", f"{outcome.seconds:.0f} s, {outcome.changes:,} row changes, {outcome.changes_per_second}/s"),
        ("transactions", ", ".join(f"{count:,} {kind}" for kind, count in outcome.transactions.items())),
        ("faults", f"{sum(outcome.faults.values())} of {len(outcome.faults)} kinds"),
        *((f"  {name}", count) for name, count in outcome.faults.items()),
        ("runs", f"{outcome.starts} started; ended by exit code {outcome.ended}"),
        ("settled", f"{outcome.settled_in} s after the load"),
        ("documents", ", ".join(f"{count:,} {name}" for name, count in outcome.documents.items())),
        (
            "memory",
            f"{outcome.rss_peak // 1024} MB at most;"
            f" {outcome.rss_first // 1024} MB in the first third, {outcome.rss_last // 1024} MB in the last",
        ),
        ("journal", f"{outcome.journal // 1024} MB, {outcome.journal_bytes_per_change} bytes a change"),
        ("retained WAL", f"{outcome.retained_wal / 2**20:.1f} MB"),
        ("stuck", outcome.stuck),
        ("checks beside it", ", ".join(f"{count:,} {what}" for what, count in outcome.checks.items())),
        ("verdict", "in agreement, by SQL and by verify" if not outcome.wrong else "WRONG"),
        *(("", line) for line in outcome.wrong),
    ]
    return "\n".join(f"{name:<28} {value}" for name, value in rows)
