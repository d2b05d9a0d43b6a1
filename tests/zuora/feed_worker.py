"""A process that keeps a table of subscriptions, to be killed: PLACE URL CLIENT_ID PORT, the secret
in the environment; PORT is where it listens for callouts. Runs until it is ended."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

import lockstep as ls
from lockstep.systems.zuora.callouts import Callouts


class Subscribed(ls.Model, table="subscriptions"):
    originalId: str = ls.key()
    name: str
    status: str
    version: int


def told(one: Subscribed) -> dict[str, object]:
    return {"id": one.name, "status": one.status, "version": one.version}


def pipeline_of(place: Path, tenant: ls.Zuora, callouts: Callouts | None = None) -> ls.Pipeline:
    source = tenant.tables(every=0.5, overlap=dt.timedelta(seconds=30), callouts=callouts)
    columns = {"id": "TEXT", "status": "TEXT", "version": "INTEGER"}
    target = ls.SQLite(place / "app.db").table("subscribed", columns=columns)
    pipeline = ls.Pipeline("subscribed", state=place / "state")
    pipeline.mapping(source, to=target, key=Subscribed.name, name="subscribed")(told)
    return pipeline


def main() -> None:
    place, url, client_id, port = sys.argv[1:]
    tenant = ls.Zuora(url, client_id=client_id, client_secret=os.environ["ZUORA_CLIENT_SECRET"])
    ls.run(
        pipeline_of(Path(place), tenant, Callouts("127.0.0.1", int(port), user="zuora", password="a secret"))
    )


if __name__ == "__main__":
    main()
