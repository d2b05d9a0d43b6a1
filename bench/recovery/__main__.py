"""Runs the comparisons in turn: `make bench-recovery`, SIZE=small or full, ONLY=redrive or night."""

from __future__ import annotations

import os
from typing import Any

from bench.flights import world
from bench.measure import machine, save, size, wide
from bench.recovery import night, redrive


def main() -> None:
    name, flights = size(30_000, 336_776)
    _, hints = size(100_000, 1_000_000)
    only = os.environ.get("ONLY", "redrive,night").split(",")
    console = wide()
    facts = machine()
    results: dict[str, Any] = {}
    if "redrive" in only:
        results["redrive"] = redrive.run(hints)
        console.print(redrive.table(results["redrive"]))
    if "night" in only:
        with world(flights) as both:
            results["night"] = night.run(both, flights)
        console.print(night.table(results["night"]))
    path = save("recovery", {"size": name, "machine": facts, **results})
    console.print(f"Load before: {facts['load_before']}. Written to {path.relative_to(path.parents[2])}.")


if __name__ == "__main__":
    main()
