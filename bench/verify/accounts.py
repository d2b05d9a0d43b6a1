"""A plain table of accounts, loaded or checked: `python -m bench.verify.accounts DATABASE STATE fill|fast`.

It imports Lockstep and nothing else, as its time is measured from the start of Python. Prints a line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from decimal import Decimal
from typing import Any

import lockstep as ls
from lockstep import Postgres, verify  # now: `check` is without what a start imports

_COLUMNS = {"id": "integer", "name": "text", "email": "text", "score": "numeric(10, 2)"}


class Account(ls.Model, table="public.accounts"):
    id: int = ls.key()
    name: str
    email: str
    score: Decimal


def pipeline(database: str, state: str) -> ls.Pipeline:
    made = ls.Pipeline("bench", state=state)
    source = Postgres(database, slot="bench_tables", publication="bench_tables")

    @made.mapping(source, to=Postgres(database).table("out.accounts", columns=_COLUMNS), name="accounts")
    def account(one: Account) -> dict[str, object]:
        return {"name": one.name, "email": one.email, "score": one.score}

    return made


def job(database: str, state: str, name: str) -> dict[str, Any]:
    """Loads the target, or checks it: what was found."""
    made = pipeline(database, state)
    if name == "fill":
        ls.run(made, once=True)
        return {}
    report = verify(made, "accounts", method="fast")
    return {"counts": report.counts, "notes": report.notes}


def main() -> None:
    begun = time.perf_counter()
    found = job(*sys.argv[1:])
    check = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak_mib": peak, "check": check, **found}))


if __name__ == "__main__":
    main()
