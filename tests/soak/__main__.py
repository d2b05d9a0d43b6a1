"""`make soak`: LASTS=600 EVERY=20 RATE=500 SEED=1, as environment variables."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from lockstep.testing.servers import OpenSearchServer, PostgresServer
from tests.soak.soak import soak, table


def main() -> int:
    seconds, every = (float(os.environ.get(name) or usual) for name, usual in (("LASTS", 600), ("EVERY", 20)))
    rate, seed = (int(os.environ.get(name) or usual) for name, usual in (("RATE", 500), ("SEED", 1)))
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-soak-") as root,
        PostgresServer() as postgres,
        OpenSearchServer() as opensearch,
    ):
        outcome = soak(seconds, every, rate, seed, root=Path(root), postgres=postgres, opensearch=opensearch)
        if outcome.wrong:
            shutil.copy(Path(root) / "run.log", "soak.log")
            print("what the runs said is in soak.log")  # noqa: T201
    print(table(outcome))  # noqa: T201 - it is for a person
    results = Path("bench/results")
    results.mkdir(parents=True, exist_ok=True)
    (results / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=2))
    return bool(outcome.wrong)


if __name__ == "__main__":
    sys.exit(main())
