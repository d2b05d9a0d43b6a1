"""The Friday night: an index of flights is wiped; restored and redriven, beside building it anew."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rich.table import Table

import lockstep as ls
from bench.flights import EXAMPLE, World

CHANGED = 0.01


def run(world: World, flights: int) -> dict[str, Any]:
    """Seconds of a full load, of noticing that the index is gone, and of a restore with so many changed."""
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as made:
        pipeline = _pipeline(world, Path(made))
        begun = time.perf_counter()
        ls.run(pipeline, once=True)
        built = time.perf_counter() - begun
        saved = ls.snapshot(pipeline).snapshot
        world.execute(
            "UPDATE flights SET dep_delay = coalesce(dep_delay, 0) + 1 WHERE id IN "
            f"(SELECT id FROM flights ORDER BY id LIMIT {int(flights * CHANGED)})"
        )
        ls.run(pipeline, once=True)
        noticed = _wiped(world, pipeline)
        begun = time.perf_counter()
        done = ls.restore(pipeline)
        restored = time.perf_counter() - begun
        (report,) = pipeline.verify()
        begun = time.perf_counter()
        rebuilt = ls.deploy(pipeline)
        again = time.perf_counter() - begun
    return {
        "documents": flights,
        "changed": done.redriven,
        "snapshot_seconds": round((saved.taken_at or saved.begun_at) - saved.begun_at, 2),
        "load_seconds": round(built, 2),
        "noticed_seconds": round(noticed, 2),
        "restore_seconds": round(restored, 2),
        "steps": {step: round(took, 2) for step, took in done.seconds.items()},
        "deploy_seconds": round(again, 2),
        "agreement": report.agreement and rebuilt.records == flights,
        "restore_to_load": round(restored / built, 3),
        "restore_to_deploy": round(restored / again, 3),
    }


def _pipeline(world: World, directory: Path) -> ls.Pipeline:
    """The example's mapping, with a place for saved states."""
    os.environ |= {"FLIGHTS_DATABASE_URL": world.database, "OPENSEARCH_URL": world.search.url}
    sys.path.insert(0, str(EXAMPLE))
    example = importlib.import_module("pipeline")
    declared = example.pipeline.named("flights")
    place = {"type": "fs", "settings": {"location": f"{world.search.snapshots}/bench"}}
    search = ls.OpenSearch(world.search.url, snapshots=place)
    index = search.index("flights", mappings=example.flights_index.mappings)
    made = ls.Pipeline("night", state=directory / "state")
    made.mapping(declared.source, to=index, name="flights", version="1")(declared.function)
    return made


def _wiped(world: World, pipeline: ls.Pipeline) -> float:
    """Wipes the index while a run follows; how long it takes until that is held."""
    stop = threading.Event()
    run = threading.Thread(target=lambda: ls.run(pipeline, stop=stop))
    run.start()
    try:
        time.sleep(3.0)
        begun = time.perf_counter()
        world.call("DELETE", "flights-g1")
        while not ls.holds(pipeline):
            time.sleep(0.05)
        return time.perf_counter() - begun
    finally:
        stop.set()
        run.join()


def table(result: dict[str, Any]) -> Table:
    shown = Table(title=f"{result['documents']:,} flights in OpenSearch, {result['changed']:,} changed since")
    for column in ("", "seconds", "÷ full load"):
        shown.add_column(column, justify="left" if not column else "right")
    load = result["load_seconds"]
    rows = [
        ("full load, from nothing, unverified", load),
        ("deploy: built anew beside, verified", result["deploy_seconds"]),
        ("restore + redrive, verified", result["restore_seconds"]),
        *((f"  of that: {step}", took) for step, took in result["steps"].items() if step != "whole"),
        ("snapshot", result["snapshot_seconds"]),
        ("from wipe to hold", result["noticed_seconds"]),
    ]
    for words, took in rows:
        shown.add_row(words, f"{took:.2f}", f"{took / load:.2f}")
    shown.caption = "In agreement at the end." if result["agreement"] else "NOT in agreement at the end."
    return shown
