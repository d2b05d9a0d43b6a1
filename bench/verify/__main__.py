"""Runs the comparisons in turn: `make bench-verify`, SIZE=small (50,000 records) or full (1,000,000)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from rich.table import Table

from bench.flights import World, servers
from bench.measure import machine, save, size, wide
from bench.verify import tables, translation


class Comparison(NamedTuple):
    """`run` is given the servers and how many records, and answers what `table` shows and what is written."""

    run: Callable[[World, int], dict[str, Any]]
    table: Callable[[dict[str, Any]], Table]


COMPARISONS = {
    "translation": Comparison(translation.run, translation.table),
    "tables": Comparison(tables.run, tables.table),
}


def main() -> None:
    name, documents = size(50_000, 1_000_000)
    only = os.environ.get("ONLY", ",".join(COMPARISONS)).split(",")
    console = wide()
    facts = machine()
    results: dict[str, Any] = {}
    with servers() as both:
        for one in only:
            console.print(f"{one}: {documents:,} records …")
            results[one] = COMPARISONS[one].run(both, documents)
            console.print(COMPARISONS[one].table(results[one]))
            path = save("verify", {"size": name, "machine": facts, **results})
    console.print(f"Load before: {facts['load_before']}. Written to {path.relative_to(path.parents[2])}.")


if __name__ == "__main__":
    main()
