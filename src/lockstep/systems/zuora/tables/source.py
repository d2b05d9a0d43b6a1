"""A tenant's objects as a source: `zuora.tables()`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from lockstep.catalog import Catalog
from lockstep.errors import DataError, LockstepError, Refused
from lockstep.forms import keys
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.describe import described
from lockstep.systems.zuora.tables.callouts import Callouts
from lockstep.systems.zuora.tables.columns import Objects
from lockstep.systems.zuora.tables.explored import explored
from lockstep.systems.zuora.tables.polling import ZuoraFeed
from lockstep.systems.zuora.tables.reader import ZuoraReader
from lockstep.values import Finding, Key, Table

if TYPE_CHECKING:
    from lockstep.systems.zuora.system import Zuora


class ZuoraTables:
    """See `lockstep.ports.Source`. Declared by `Zuora.tables`."""

    def __init__(
        self,
        tenant: Zuora,
        custom: Mapping[str, Mapping[str, str]],
        every: float,
        overlap: dt.timedelta,
        now: Callable[[], dt.datetime],
        callouts: Callouts | None,
    ) -> None:
        self._tenant = tenant
        self._objects = Objects(tenant.dates.zone, custom)
        self._callouts = callouts
        self._every, self._overlap, self._now = every, overlap, now

    @property
    def name(self) -> str:
        return self._tenant.name

    def reader(self) -> ZuoraReader:
        return ZuoraReader(self._tenant.connect(), self._objects)

    def feed(self) -> ZuoraFeed:
        return ZuoraFeed(
            self._tenant.connect(),
            self._objects,
            identity=self.name,
            every=self._every,
            overlap=self._overlap,
            now=self._now,
            callouts=self._callouts,
        )

    def check(self, tables: Sequence[Table]) -> list[Finding]:
        found: list[Finding] = []
        for table in tables:
            try:
                known = self._objects.table(table.name)
                for name in table.columns:
                    known.type_of(name)
                if table.key != (known.key,):
                    problem = f"its key is {known.key}, not {', '.join(table.key)}"
                    raise Refused(problem, f"Declare {known.key}: str = ls.key().")
            except LockstepError as error:
                found.append(Finding(f"{self.name} {table.name}", str(error), error.remedy))
        try:
            with closing(self._tenant.connect(timeout=10.0)) as client:
                client.ask("GET", "/object-query/accounts", params=[("pageSize", "1")])
                found += self._unknown(client, tables)
        except LockstepError as error:
            found.append(Finding(self.name, str(error), error.remedy))
        return found

    def _unknown(self, client: Client, tables: Sequence[Table]) -> Iterator[Finding]:
        """Own fields that the tenant does not describe: each would be read as None, in every row. Whether
        describe tells all of them nobody could try, so they stand in nobody's way."""
        for table in tables:
            own = {name for name in table.columns if name.endswith("__c")}
            if not own or table.name not in self._objects.tables:
                continue
            object = self._objects.table(table.name).object
            try:
                known = {one.column for one in described(client, object).fields}
            except Refused:
                continue  # the user may read it without its description
            for name in sorted(own - known):
                yield Finding(
                    f"{self.name} {table.name}",
                    f"the tenant describes no field {name} of {object}: it would be read as None",
                    "Correct its name in model and tables(custom=…): lockstep explore zuora lists them.",
                    blocks=False,
                )

    def catalog(self) -> Catalog:
        with closing(self._tenant.connect()) as client:
            return explored(client, self.name, self._objects)

    def parse_keys(self, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        known = self._objects.table(table.name)
        return [
            keys.encode(parts)
            if len(parts) == 1
            else DataError(
                f"a key of {known.name} has one part, not {len(parts)}: {known.key}", "Type one id."
            )
            for parts in typed
        ]

    def __repr__(self) -> str:
        return f"{self._tenant!r}.tables()"
