"""A process that works the app's pipeline once, with leave to transfer, to be killed: APP_DB STATE URL
CLIENT_ID, the secret in the environment."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

import lockstep as ls
from tests.zuora import app


def pipeline_of(db: Path, state: Path, tenant: ls.Zuora) -> ls.Pipeline:
    pipeline = ls.Pipeline("billing", state=state)
    accounts = tenant.accounts(today=lambda: app.TODAY, transfers_within=dt.timedelta(hours=1))
    pipeline.mapping(ls.SQLite(db), to=accounts, name="accounts")(app.account)
    pipeline.amounts("accounts")(app.monthly_revenue)
    return pipeline


def main() -> None:
    db, state, url, client_id = sys.argv[1:]
    tenant = ls.Zuora(url, client_id=client_id, client_secret=os.environ["ZUORA_CLIENT_SECRET"])
    ls.run(pipeline_of(Path(db), Path(state), tenant), once=True)


if __name__ == "__main__":
    main()
