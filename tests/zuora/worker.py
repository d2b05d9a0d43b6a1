"""A process that works the app's pipeline once, to be killed: APP_DB STATE URL CLIENT_ID ZONE, the secret
in the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lockstep as ls
from lockstep.systems.zuora.plans.actions import DateRules
from tests.zuora import app


def main() -> None:
    db, state, url, client_id, zone = sys.argv[1:]
    secret = os.environ["ZUORA_CLIENT_SECRET"]
    tenant = ls.Zuora(url, client_id=client_id, client_secret=secret, dates=DateRules(zone=zone))
    ls.run(app.pipeline_of(Path(db), Path(state), tenant), once=True)


if __name__ == "__main__":
    main()
