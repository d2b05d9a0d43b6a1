"""`python -m lockstep.testing.servers.fetch`: gets the servers that tests start, ahead of time."""

from __future__ import annotations

import sys

from lockstep.testing.servers import ServerUnavailable, cache_directory
from lockstep.testing.servers.opensearch import fetch


def main() -> int:
    try:
        fetch()
    except ServerUnavailable as error:
        sys.stderr.write(f"OpenSearch cannot be had: {error}\n")
        return 1
    sys.stdout.write(f"The servers are in {cache_directory()}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
