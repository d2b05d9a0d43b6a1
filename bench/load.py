"""flights → an empty OpenSearch: Lockstep, a bare bulk client with the same bodies, and PGSync.

`make bench-load` (SIZE=small: 50,000 flights; SIZE=full: all 336,776). ONLY=guard: Lockstep with and without
its guard, and nobody else, in more rounds.
"""

from __future__ import annotations

import os
from typing import Any

from rich.table import Table

from bench.bare import BulkClient, Line, Recorder
from bench.flights import Lockstep, World, world
from bench.measure import cpu_seconds, machine, median, rounds, save, size, wide
from bench.peer import PGSync, Unavailable, install

ROUNDS = 3
ROUNDS_OF_THE_GUARD = 5
_CLIENTS = (1, 2, 3, 4, 6)
_PER_REQUEST = (1_000, 2_500, 5_000)


def only_guard() -> bool:
    return os.environ.get("ONLY") == "guard"


class Loads:
    """What each rival took, a list of rounds."""

    def __init__(self, world: World, flights: int, documents: list[Line], layout: dict[str, Any]) -> None:
        self._world = world
        self._flights = flights
        self._documents = documents
        self._layout = layout
        self.best = (0, 0) if only_guard() else self._tune()
        rivals = ("limit", "lockstep", "unguarded", "pgsync")
        self.took: dict[str, list[dict[str, float]]] = {rival: [] for rival in rivals}

    def limit(self, _: int) -> None:
        self.took["limit"].append(self._bare(self._documents, *self.best))

    def lockstep(self, _: int) -> None:
        self._run("lockstep", guarded=True)

    def unguarded(self, _: int) -> None:
        self._run("unguarded", guarded=False)

    def _run(self, rival: str, *, guarded: bool) -> None:
        self._world.wipe()
        run = Lockstep(self._world, self._world.search.url, once=True, guarded=guarded)
        before = self._cpu()
        run.go()
        said = run.result()
        used = self._cpu()
        self._require("flights")
        self.took[rival].append(
            {
                "seconds": said["seconds"],
                "own_cpu": said["cpu"],
                "guard_cpu": said["guard_cpu"],
                "postgres_cpu": used["postgres"] - before["postgres"],
                "search_cpu": used["search"] - before["search"],
                "peak_mib": said["peak_mib"],
            }
        )

    def pgsync(self, _: int) -> None:
        self._world.wipe()
        with PGSync(self._world) as peer:
            before = self._cpu()
            seconds, own = peer.load()
            used = self._cpu()
            self._require(peer.index)
        self.took["pgsync"].append(
            {
                "seconds": seconds,
                "own_cpu": own,
                "postgres_cpu": used["postgres"] - before["postgres"],
                "search_cpu": used["search"] - before["search"],
            }
        )

    def _tune(self) -> tuple[int, int]:
        """How many clients, and how many documents a request, are fastest on this machine."""
        some = self._documents[: max(20_000, len(self._documents) // 8)]
        self._bare(some, 2, 2_500)  # the server compiles its own hot code first
        took = {
            (clients, count): self._bare(some, clients, count)["seconds"]
            for clients in _CLIENTS
            for count in _PER_REQUEST
        }
        return min(took, key=lambda how: took[how])

    def _bare(self, documents: list[Line], clients: int, per_request: int) -> dict[str, float]:
        self._world.wipe()
        self._world.call("PUT", "bare", self._layout)
        before = self._cpu()
        seconds = BulkClient(self._world.search.url, "bare").send(documents, clients, per_request)
        used = self._cpu()
        return {"seconds": seconds, "search_cpu": used["search"] - before["search"]}

    def _cpu(self) -> dict[str, float]:
        assert self._world.postgres.pid is not None
        assert self._world.search.pid is not None
        return {
            "postgres": cpu_seconds(self._world.postgres.pid),
            "search": cpu_seconds(self._world.search.pid),
        }

    def _require(self, index: str) -> None:
        held = self._world.count(index)
        if held != self._flights:
            raise RuntimeError(f"{index} holds {held:,} documents after a load of {self._flights:,}")


def record(world: World) -> tuple[list[Line], dict[str, Any]]:
    """A load through a recording proxy: the bytes Lockstep sends, and the index it makes for them."""
    recorder = Recorder(world.search.url)
    run = Lockstep(world, recorder.url, once=True)
    run.go()
    run.result()
    recorder.close()
    (made,) = (world.call("GET", "flights") or {}).values()
    settings = made["settings"]["index"]
    for own in ("uuid", "version", "creation_date", "provided_name"):
        settings.pop(own, None)
    return recorder.documents, {"settings": {"index": settings}, "mappings": made["mappings"]}


def main() -> None:
    name, flights = size(50_000, 336_776)
    console = wide()
    console.print(f"flights → OpenSearch, {flights:,} documents, {ROUNDS} rounds …")
    facts = machine()
    without: str | None = None
    with world(flights) as servers:
        documents, layout = record(servers)
        if len(documents) != flights:
            raise RuntimeError(f"{len(documents):,} documents were recorded, not {flights:,}")
        loads = Loads(servers, flights, documents, layout)
        if only_guard():
            rounds(ROUNDS_OF_THE_GUARD, loads.lockstep, loads.unguarded)
        else:
            rivals = [loads.limit, loads.lockstep, loads.unguarded]
            try:
                install(servers)
                rivals.append(loads.pgsync)
            except Unavailable as reason:
                without = str(reason)
            rounds(ROUNDS, *rivals)
    result = summary(flights, loads, len(b"".join(documents)), without)
    console.print(table(result))
    if without:
        console.print(f"Without PGSync: {without}")
    path = save("guard" if only_guard() else "load", {"size": name, "machine": facts, **result})
    console.print(f"Load before: {facts['load_before']}. Written to {path.relative_to(path.parents[2])}.")


def summary(flights: int, loads: Loads, size_bytes: int, without: str | None) -> dict[str, Any]:
    """Rates, ratios of the medians, and CPU per document."""
    rivals: dict[str, Any] = {}
    for rival, took in loads.took.items():
        if not took:
            continue
        rates = [flights / one["seconds"] for one in took]
        rivals[rival] = {
            "documents_per_second": round(median(rates)),
            "slowest": round(min(rates)),
            "fastest": round(max(rates)),
            **{
                f"{name}_us_per_document": round(median([one[name] for one in took]) / flights * 1e6, 1)
                for name in ("own_cpu", "postgres_cpu", "search_cpu")
                if name in took[0]
            },
        }
        if "peak_mib" in took[0]:
            rivals[rival]["peak_mib"] = round(max(one["peak_mib"] for one in took))
    rate = {rival: found["documents_per_second"] for rival, found in rivals.items()}
    own = {rival: [one["own_cpu"] for one in loads.took[rival]] for rival in ("lockstep", "unguarded")}
    spent = [one["own_cpu"] / (one["own_cpu"] - one["guard_cpu"]) for one in loads.took["lockstep"]]
    return {
        "documents": flights,
        "bytes_per_document": round(size_bytes / flights),
        "rounds": len(loads.took["lockstep"]),
        "limit_clients": loads.best[0],
        "limit_documents_per_request": loads.best[1],
        "rivals": rivals,
        "lockstep_to_limit": round(rate["lockstep"] / rate["limit"], 3) if "limit" in rate else None,
        "guard_overhead": round(median(spent), 4),
        "guarded_to_unguarded": round(median(own["lockstep"]) / median(own["unguarded"]), 3),
        "lockstep_to_pgsync": round(rate["lockstep"] / rate["pgsync"], 2) if "pgsync" in rate else None,
        "without_pgsync": without,
    }


def table(result: dict[str, Any]) -> Table:
    titles = {
        "limit": "bare bulk client (the limit)",
        "lockstep": "Lockstep",
        "unguarded": "Lockstep without its guard",
        "pgsync": "PGSync",
    }
    shown = Table(title=f"{result['documents']:,} documents of {result['bytes_per_document']:,} bytes")
    for column in (
        "",
        "documents/s",
        "slowest … fastest",
        "÷ limit",
        "CPU µs/doc: own",
        "PostgreSQL",
        "search",
    ):
        shown.add_column(column, justify="left" if not column else "right")
    limit = result["rivals"].get("limit", {}).get("documents_per_second")
    for rival, found in result["rivals"].items():
        rate = found["documents_per_second"]
        shown.add_row(
            titles[rival],
            f"{rate:,}",
            f"{found['slowest']:,} … {found['fastest']:,}",
            f"{rate / limit:.2f}" if limit else "–",
            *(
                str(found.get(f"{name}_us_per_document", "–"))
                for name in ("own_cpu", "postgres_cpu", "search_cpu")
            ),
        )
    ratio = result["lockstep_to_pgsync"]
    shown.caption = (
        f"Own CPU ÷ own CPU but for what was spent in the guard: {result['guard_overhead']:.4f}; "
        f"÷ a run without it: {result['guarded_to_unguarded']:.3f}, as far as the machine was steady."
    )
    if limit:
        shown.caption = (
            f"Lockstep ÷ limit {result['lockstep_to_limit']:.2f}"
            + (f", ÷ PGSync {ratio:.1f}" if ratio else "")
            + f". The limit: {result['limit_clients']} connections, "
            f"{result['limit_documents_per_request']:,} documents a request. {shown.caption}"
        )
    return shown


if __name__ == "__main__":
    main()
