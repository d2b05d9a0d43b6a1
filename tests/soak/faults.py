"""What is done to a run and its systems while the load goes on. Each is over when its function returns."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg

from lockstep.engine.points import POINTS
from lockstep.testing.http_proxy import Fault, HttpProxy, Rule
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import OpenSearchServer, PostgresServer
from tests.soak.world import SoakWorld


class Keeper:
    """Keeps a run going: starts it again as soon as it ends, as a supervisor would."""

    def __init__(self, world: SoakWorld, log: Path) -> None:
        self._world = world
        self._log = log.open("ab")
        self._stop = threading.Event()
        self._crash: str | None = None
        self._thread = threading.Thread(target=self._keep)
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.ended: Counter[int] = Counter()
        """Exit codes: -9 is what we did to it; anything else it did by itself."""

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def signal(self, number: int) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def crash_at(self, spec: str) -> None:
        """Kills the run now; the next one dies at a point of the engine, if it comes to it."""
        self._crash = spec
        self.signal(signal.SIGKILL)

    def stop(self) -> None:
        self._stop.set()
        self.signal(signal.SIGKILL)
        self._thread.join()
        self._log.close()

    def _keep(self) -> None:
        while not self._stop.is_set():
            crash, self._crash = self._crash, None
            self._process = self._world.spawn(self._log, crash)
            self.starts += 1
            self.ended[self._process.wait()] += 1


class Faults:
    """Every fault by name, on what a soak has."""

    def __init__(
        self,
        keeper: Keeper,
        postgres: PostgresServer,
        opensearch: OpenSearchServer,
        to_postgres: Proxy,
        to_opensearch: Proxy,
        name: str,
        seed: int,
        patience: float,
    ) -> None:
        self._keeper = keeper
        self._postgres = postgres
        self._opensearch = opensearch
        self._to_postgres = to_postgres
        self._to_opensearch = to_opensearch
        self._name = name
        self._dice = random.Random(seed)
        self._patience = patience
        """Seconds that something stays away or deaf."""

    def kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "kill -9 the run": lambda: self._keeper.signal(signal.SIGKILL),
            "kill PostgreSQL": self._kill_postgres,
            "cut the way to the target": lambda: self._cut(self._to_opensearch),
            "the run dies at a point": self._point,
            "kill OpenSearch": self._kill_opensearch,
            "terminate the walsender": self._walsender,
            "the target goes deaf": lambda: self._deaf(self._to_opensearch),
            "the run stands still": self._stand_still,
            "cut the way to the source": lambda: self._cut(self._to_postgres),
            "the source goes deaf": lambda: self._deaf(self._to_postgres),
            "both are away": self._both,
            "restart OpenSearch": self._restart_opensearch,
            "restart PostgreSQL": self._postgres.restart,
            "the target is too busy": lambda: self._spoilt(_busy),
            "answers break off": lambda: self._spoilt(_broken_off, after=True),
        }

    def _kill_postgres(self) -> None:
        self._postgres.kill()
        self._postgres.start()

    def _kill_opensearch(self) -> None:
        self._opensearch.kill()
        time.sleep(self._patience / 2)
        self._opensearch.start()

    def _restart_opensearch(self) -> None:
        self._opensearch.stop()
        self._opensearch.start()

    def _both(self) -> None:
        self._postgres.kill()
        self._opensearch.kill()
        self._opensearch.start()
        self._postgres.start()

    def _point(self) -> None:
        self._keeper.crash_at(f"{self._dice.choice(list(POINTS))}:{self._dice.randint(1, 5)}")

    def _walsender(self) -> None:
        with psycopg.connect(self._postgres.url(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                " WHERE active_pid IS NOT NULL"
            )

    def _cut(self, proxy: Proxy) -> None:
        for _ in range(5):
            proxy.cut()
            time.sleep(self._dice.random() / 4)

    def _deaf(self, proxy: Proxy) -> None:
        proxy.deaf()
        time.sleep(self._patience)
        proxy.accept()

    def _spoilt(self, rule: Rule, *, after: bool = False) -> None:
        """For some seconds a proxy answers bulk requests in the cluster's place, or spoils its answers."""
        with HttpProxy(self._opensearch.url) as between:
            between.before, between.after = (None, rule) if after else (rule, None)
            self._to_opensearch.leads_to("127.0.0.1", between.port)
            self._to_opensearch.cut()
            time.sleep(self._patience)
            self._to_opensearch.leads_to("127.0.0.1", self._opensearch.port)
            self._to_opensearch.cut()

    def _stand_still(self) -> None:
        self._keeper.signal(signal.SIGSTOP)
        time.sleep(self._patience)
        self._keeper.signal(signal.SIGCONT)


def _busy(path: str, body: bytes) -> tuple[int, bytes] | None:
    error = b'{"error":{"type":"es_rejected_execution_exception","reason":"rejected execution"},"status":429}'
    return (429, error) if "_bulk" in path else None


def _broken_off(path: str, body: bytes) -> Fault | None:
    return Fault.HALF if "_bulk" in path and zlib.crc32(body) % 2 else None
