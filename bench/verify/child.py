"""One job of Lockstep in a process of its own: `python -m bench.verify.child DATABASE TARGET STATE JOB`.

JOB: fill · fast · deep · sample · source (read and build every shape once) · target (read every record once).
Prints a line of JSON: seconds, from after all was imported, peak memory, and what was found.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import lockstep as ls
from bench.follower import peak_mib
from lockstep.agreement.walk import source_keys
from lockstep.engine.deriving.derive import Deriver
from lockstep.operations.opened import closed_door
from lockstep.operations.verify import verify

PIPELINE = Path(__file__).with_name("pipeline.py")
WHERE = "LOCKSTEP_BENCH_PEOPLE"
_PAGE = 1_000


def main() -> None:
    *where, job = sys.argv[1:]
    os.environ[WHERE] = " ".join(where)
    made = ls.load(PIPELINE)
    begun = time.perf_counter()
    found = _done(made, job)
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_mib": peak_mib(), **found}))


def _done(made: ls.Pipeline, job: str) -> dict[str, Any]:
    mapping = made.mappings["people"]
    if job == "fill":
        ls.run(made, once=True)
        return {}
    if job == "source":
        reader, count = mapping.source.reader(), 0
        deriver = Deriver(mapping, reader)
        for keys in source_keys(reader, mapping, _PAGE):
            count += len(deriver.roots(keys))
        reader.close()
        return {"records": count}
    if job == "target":
        with closed_door(mapping, 1, None) as door:
            count, page = 0, door.scan(None, _PAGE)
            while page:
                count += len(page)
                page = door.scan(page[-1].key, _PAGE)
        return {"records": count}
    report = verify(made, "people", method=job, share=0.01)
    return {"counts": report.counts, "notes": report.notes, "records": report.records_compared}


if __name__ == "__main__":
    main()
