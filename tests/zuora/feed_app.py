"""A table of what subscriptions are, kept from Zuora's. Not in the worker's own module: as
`__main__` it would be another mapping, and the next run would derive all anew."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import lockstep as ls
from lockstep.systems.zuora.tables.callouts import Callouts


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
