"""`python -m lockstep.testing.servers.fetch`: gets the servers that tests start, ahead of time."""

from __future__ import annotations

import sys

from lockstep.testing.servers import ServerUnavailable, cache_directory
from lockstep.testing.servers.elasticsearch import Elasticsearch8Server, Elasticsearch9Server
from lockstep.testing.servers.opensearch import OpenSearch3Server, OpenSearchServer


def main() -> int:
    missing = False
    for server in (OpenSearchServer, OpenSearch3Server, Elasticsearch8Server, Elasticsearch9Server):
        try:
            server.fetch()
        except ServerUnavailable as error:
            sys.stderr.write(f"{server.title} cannot be had: {error}\n")
            missing = True
    if missing:
        return 1
    sys.stdout.write(f"The servers are in {cache_directory()}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
