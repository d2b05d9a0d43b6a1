"""Runs one server for several processes: `python -m lockstep.testing.servers postgres <file>`.

Prints the server's address, then stays until nobody holds a shared lock on the file any more. A lock is let
go of by the kernel however its holder ends, so that the server cannot outlive those that it was started for.
"""

import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import (
    Elasticsearch8Server,
    Elasticsearch9Server,
    OpenSearch3Server,
    OpenSearchServer,
    Postgres15Server,
    PostgresServer,
    SearchServer,
    ServerFailed,
    ServerUnavailable,
)

_SERVERS: dict[str, Callable[[], PostgresServer | SearchServer]] = {
    "elasticsearch8": Elasticsearch8Server,
    "elasticsearch9": Elasticsearch9Server,
    "opensearch": OpenSearchServer,
    "opensearch3": OpenSearch3Server,
    "postgres": PostgresServer,
    "postgres15": Postgres15Server,
}


def main(kind: str, users: Path) -> None:
    if os.fork():
        os._exit(0)  # whoever called waits for the address only, and is not our parent
    os.setsid()
    server = _SERVERS[kind]()
    answer: dict[str, Any]
    try:
        answer = {"address": server.start().address()}
    except ServerUnavailable as error:
        answer = {"unavailable": str(error)}
    except (ServerFailed, OSError) as error:
        answer = {"failed": str(error)}
    os.write(1, json.dumps(answer).encode())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if "address" not in answer:
        return
    with open(users, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        users.with_suffix(".json").unlink(missing_ok=True)  # whoever comes now starts another server
        server.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
