"""One plain table to another, PostgreSQL → PostgreSQL: Lockstep's fast check beside reladiff's hashdiff.

By itself: `python -m bench.verify.tables`. What Lockstep does is done by `accounts`, a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from rich.table import Table

from bench.flights import World, servers
from bench.measure import median, rounds, size, wide
from bench.peer import Unavailable
from lockstep.testing.servers._support import cache_directory

ROUNDS = 3
REQUIREMENTS = Path(__file__).parents[1] / "reladiff.txt"
_SCHEMA = """
CREATE TABLE accounts (
  id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, score numeric(10, 2) NOT NULL);
INSERT INTO accounts SELECT i, 'Person ' || i, 'u' || i || '@example.com', i % 1000 / 10.0
  FROM generate_series(1, {rows}) i;
CREATE SCHEMA out
"""
_EDIT = "UPDATE out.accounts SET name = {name} WHERE {which}"
STATES = {"equal": "false", "one": "id = {rows} / 2", "percent": "id % 100 = 7"}
"""Which rows of the target are edited in place, by the name of the comparison."""


class Tables:
    """Both tables in one database, and each tool's check of them, as a process of its own."""

    def __init__(self, world: World, rows: int) -> None:
        self._state = tempfile.TemporaryDirectory(prefix="lockstep-bench-")
        self._database = world.postgres.database(f"accounts_{rows}")
        self._peer = _peer()
        self.rows = rows
        self.execute(*_SCHEMA.format(rows=rows).split(";"))
        self._lockstep("fill")
        self.execute("VACUUM ANALYZE")

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self._database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def edited(self, which: str, *, back: bool) -> None:
        """Makes rows of the target differ, or equal again."""
        name = "'Person ' || id" if back else "'edited ' || id"
        self.execute(
            _EDIT.format(name=name, which=which.format(rows=self.rows)), "VACUUM ANALYZE out.accounts"
        )

    def lockstep(self, differing: int) -> dict[str, float]:
        found = self._lockstep("fast")
        if found["counts"] != ({"different": differing} if differing else {}) or found["notes"]:
            raise RuntimeError(f"{differing} rows differ, and the check says {found}")
        return {name: found[name] for name in ("seconds", "check", "peak_mib")}

    def reladiff(self, differing: int) -> dict[str, float]:
        columns = [word for name in ("name", "email", "score") for word in ("-c", name)]
        tables = [self._database, "public.accounts", self._database, "out.accounts"]
        command = [self._peer, *tables, "-k", "id", *columns, "--algorithm", "hashdiff"]
        begun = time.perf_counter()
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begun
        if len(ended.stdout.splitlines()) != 2 * differing:
            raise RuntimeError(
                f"{differing} rows differ, and reladiff says {ended.stdout[:300]}{ended.stderr[-300:]}"
            )
        return {"seconds": seconds}

    def _lockstep(self, name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "bench.verify.accounts", self._database, self._state.name, name]
        # Both tools have their bytecode, as what is installed has: of a checkout nobody may have kept it, and
        # compiling it at each start takes 0.15 s.
        environment = os.environ | {"PYTHONPYCACHEPREFIX": f"{self._state.name}/bytecode"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        begun = time.perf_counter()
        ended = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env=environment,
        )
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, **json.loads(ended.stdout.splitlines()[-1])}


def run(world: World, rows: int) -> dict[str, Any]:
    """Seconds are of whole processes, for both tools, in turn; `check` is ours without starting Python."""
    tables = Tables(world, rows)
    out: dict[str, Any] = {"rows": rows}
    for state, which in STATES.items():
        differing = {"equal": 0, "one": 1, "percent": rows // 100}[state]
        if differing:
            tables.edited(which, back=False)
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        rounds(
            ROUNDS,
            lambda _, ours=ours, n=differing: ours.append(tables.lockstep(n)),  # type: ignore[misc]
            lambda _, theirs=theirs, n=differing: theirs.append(tables.reladiff(n)),  # type: ignore[misc]
        )
        if differing:
            tables.edited(which, back=True)
        mine, peer = _seconds(ours), _seconds(theirs)
        peak = round(max(one["peak_mib"] for one in ours))
        out[state] = {"lockstep": mine, "reladiff": peer, "ratio": round(mine / peer, 2), "peak_mib": peak}
        out[state]["check"] = _seconds(ours, "check")
    return out


def table(result: dict[str, Any]) -> Table:
    shown = Table(title=f"{result['rows']:,} rows of a plain table, PostgreSQL → PostgreSQL")
    for column in ("", "Lockstep fast, s", "without start", "reladiff, s", "ratio", "goal", "peak MiB"):
        shown.add_column(column, justify="left" if not column else "right")
    goals = {"equal": "0.6", "one": "0.6", "percent": "0.2"}
    words = {"equal": "equal", "one": "one row differs", "percent": "1 % differ"}
    for state, goal in goals.items():
        found = result[state]
        shown.add_row(
            words[state],
            *(str(found[name]) for name in ("lockstep", "check", "reladiff", "ratio")),
            goal,
            str(found["peak_mib"]),
        )
    return shown


def _seconds(found: Sequence[dict[str, float]], name: str = "seconds") -> float:
    return round(median([one[name] for one in found]), 3)


def _peer() -> str:
    """reladiff, in an environment of its own."""
    home = cache_directory() / "bench-reladiff"
    ready = home / ".ready"
    if not ready.exists() or ready.read_text() != REQUIREMENTS.read_text():
        pip = [str(home / "bin" / "pip"), "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
        for command in ([sys.executable, "-m", "venv", str(home)], pip):
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                raise Unavailable(f"{' '.join(command[:3])} failed: {ended.stderr[-300:]}")
        ready.write_text(REQUIREMENTS.read_text())
    return str(home / "bin" / "reladiff")


def main() -> None:
    _, rows = size(50_000, 1_000_000)
    with servers() as world:
        wide().print(table(run(world, rows)))


if __name__ == "__main__":
    main()
