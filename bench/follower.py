"""A run of Lockstep for a benchmark: `python -m bench.follower STATE once|follow [unguarded]`.

Imports everything, says so, waits for a line, runs, and says in one line of JSON what it took.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import lockstep as ls
from bench.flights import EXAMPLE
from bench.guarded import measure_the_guard, remove_the_guard


def main() -> None:
    state, how = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(EXAMPLE))
    os.chdir(EXAMPLE)
    from pipeline import pipeline  # type: ignore[import-not-found]

    guard_cpu = remove_the_guard() if "unguarded" in sys.argv else measure_the_guard()
    del pipeline.mappings["flights_embedded"]
    pipeline.state = state
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    begun, cpu = time.perf_counter(), time.process_time()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    ls.run(pipeline, once=how == "once", stop=stop)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "cpu": time.process_time() - cpu,
                "guard_cpu": guard_cpu(),
                "peak_mib": peak_mib(),
            }
        ),
        flush=True,
    )


def peak_mib() -> float:
    """Of this program alone: what getrusage says may be of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
