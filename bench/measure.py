"""What a benchmark reads off the machine, and where it leaves its results."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

RESULTS = Path(__file__).parent / "results"


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process and all below it have used, those of ended children included."""
    total = 0.0
    try:
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    except psutil.NoSuchProcess:
        pass
    return total


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies; nan of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def machine() -> dict[str, Any]:
    """The machine and the versions that a figure depends on."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": _processor(),
        "python": platform.python_version(),
        "lockstep": metadata.version("lockstep-sync"),
        "load_before": round(os.getloadavg()[0], 2),
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def save(name: str, result: Mapping[str, Any]) -> Path:
    """Writes `results/NAME.json`, which is not committed: figures belong to their machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, allow_nan=True) + "\n")
    return path


def size(small: int, full: int) -> tuple[str, int]:
    """SIZE=small or full, and the number that goes with it."""
    name = os.environ.get("SIZE", "small")
    if name not in ("small", "full"):
        raise SystemExit(f"SIZE={name}: there are small and full")
    return name, small if name == "small" else full


def rounds(count: int, *rivals: Callable[[int], None]) -> None:
    """Lets the rivals take turns, each round in another order, so that a slow minute hits all of them."""
    for turn in range(count):
        for rival in rivals if turn % 2 == 0 else reversed(rivals):
            rival(turn)


def wide() -> Console:
    """A console whose tables are not broken where nobody says how wide it is: a log, a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=132)
