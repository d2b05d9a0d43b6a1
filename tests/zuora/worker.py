"""A process that works the app's pipeline once, to be killed: APP_DB STATE URL CLIENT_ID, the secret in the
environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lockstep as ls
from tests.zuora import app


def main() -> None:
    db, state, url, client_id = sys.argv[1:]
    tenant = ls.Zuora(url, client_id=client_id, client_secret=os.environ["ZUORA_CLIENT_SECRET"])
    ls.run(app.pipeline_of(Path(db), Path(state), tenant), once=True)


if __name__ == "__main__":
    main()
