"""The product and the stand-in of its tenant, for the story and for who counts the calls."""

# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import app
from tenant import Person

import lockstep as ls
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.tenant import Tenant


class World(NamedTuple):
    """The tenant, somebody who is signed in to it, and the example's pipeline."""

    twin: ZuoraTwin
    person: Person
    pipeline: ls.Pipeline

    def calls(self, work: Callable[[], object]) -> Counter[str]:
        """What is asked of the tenant meanwhile, without tokens."""
        before = Counter(self.twin.tenant.counts)
        work()
        made = Counter(self.twin.tenant.counts) - before
        del made["POST /oauth/token"]
        return made


@contextlib.contextmanager
def world(customers: int) -> Iterator[World]:
    """A tenant that sells the product's plans, and the product, in a directory of its own."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="lockstep-billing-") as directory, ZuoraTwin(Tenant()) as twin:
        os.chdir(directory)
        try:
            os.environ |= {
                "ZUORA_URL": twin.url,
                "ZUORA_CLIENT_ID": twin.client_id,
                "ZUORA_CLIENT_SECRET": twin.client_secret,
            }
            today = dt.datetime.now(dt.UTC).date()
            app.create(Path("app.db"), customers, since=today - dt.timedelta(days=150))
            somebody = Person(twin.url, twin.person.client_id, twin.person.client_secret)
            with contextlib.closing(somebody) as person:
                person.sell(app.PLANS)
                from pipeline import pipeline  # it asks for the environment

                yield World(twin, person, pipeline)
        finally:
            os.chdir(before)
