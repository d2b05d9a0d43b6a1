"""A process that keeps a table of subscriptions, to be killed: PLACE URL CLIENT_ID PORT, the secret
in the environment; PORT is where it listens for callouts. Runs until it is ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lockstep as ls
from lockstep.systems.zuora.tables.callouts import Callouts
from tests.zuora.feed_app import pipeline_of


def main() -> None:
    place, url, client_id, port = sys.argv[1:]
    tenant = ls.Zuora(url, client_id=client_id, client_secret=os.environ["ZUORA_CLIENT_SECRET"])
    ls.run(
        pipeline_of(Path(place), tenant, Callouts("127.0.0.1", int(port), user="zuora", password="a secret"))
    )


if __name__ == "__main__":
    main()
