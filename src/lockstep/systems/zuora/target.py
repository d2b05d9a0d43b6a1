"""The accounts of a tenant as a mapping's target."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from lockstep.errors import DataError, LockstepError, Refused
from lockstep.forms import keys as key_bytes
from lockstep.ports import Source
from lockstep.ports.notes import Amendment, Note, Notes
from lockstep.systems.zuora.plans.drift import Drift
from lockstep.systems.zuora.revenue import Revenue, revenue
from lockstep.systems.zuora.tables.columns import set_by
from lockstep.systems.zuora.writing.asked import number_of
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.values import Finding, Key, Record, Table

if TYPE_CHECKING:
    from lockstep.systems.zuora.system import Zuora


class ZuoraAccounts:
    """A `ports.Target` and `notes.NotingTarget`: made by `Zuora.accounts()`."""

    def __init__(
        self,
        system: Zuora,
        *,
        rewrite_billed: bool,
        today: Callable[[], dt.date] | None = None,
        notes: Notes | None = None,
        drift: Drift,
        transfers_within: dt.timedelta | None,
    ) -> None:
        self._system = system
        self._rewrite_billed = rewrite_billed
        self._drift = drift
        self._transfers_within = transfers_within
        self._today = today or self._date
        self._given_today = today
        self._notes = notes or _Nothing()

    @property
    def name(self) -> str:
        return f"{self._system.name}/accounts"

    def key(self, values: Sequence[Any]) -> Key:
        """Account numbers are text."""
        return key_bytes.encode((key_bytes.text_of(values),))

    def noting(self, notes: Notes) -> ZuoraAccounts:
        return ZuoraAccounts(
            self._system,
            rewrite_billed=self._rewrite_billed,
            today=self._given_today,
            notes=notes,
            drift=self._drift,
            transfers_within=self._transfers_within,
        )

    def open(self, generation: int) -> ZuoraWriter:
        """There is one build only: the tenant's accounts themselves."""
        return ZuoraWriter(
            self._system.connect(),
            self._system.name,
            self._notes,
            self._system.dates,
            self._today,
            rewrite_billed=self._rewrite_billed,
            drift=self._drift,
            transfers_within=self._transfers_within,
        )

    def amounts(self, keys: Sequence[Key]) -> dict[Key, Revenue | DataError]:
        """Of each account that is there its monthly recurring revenue, by currency, as Zuora says it; a term
        that renews itself goes on."""
        wanted = {number_of(key): key for key in keys}
        with contextlib.closing(self._system.connect()) as client:
            found = revenue(client, list(wanted))
        return {wanted[number]: one for number, one in found.items() if number in wanted}

    def within(self, source: Source) -> bool:
        return source.name == self._system.name

    def sets(self, table: Table, records: Sequence[Record]) -> set[str]:
        return set_by(table.name, records)

    def check(self) -> list[Finding]:
        """Whether the tenant answers with these credentials, and what they may read."""
        client = self._system.connect(timeout=20.0)
        try:
            client.ask("GET", "/v1/catalog/products", params=[("page", "1"), ("pageSize", "1")])
            client.ask("GET", "/object-query/accounts", params=[("pageSize", "1")])
        except LockstepError as error:
            return [Finding(self.name, str(error), error.remedy)]
        finally:
            client.close()
        return []

    def _date(self) -> dt.date:
        """Today, where the tenant is."""
        return dt.datetime.now(ZoneInfo(self._system.dates.zone)).date()

    def __repr__(self) -> str:
        return f"<{self.name}>"


class _Nothing:
    """The notes of who looks at a target that no run has ever written."""

    def read(self, kind: str, keys: Sequence[Key]) -> dict[Key, bytes]:
        return {}

    def scan(self, kind: str, after: Key | None, limit: int) -> list[tuple[Key, bytes]]:
        return []

    def write(self, notes: Sequence[Note], amended: Sequence[Amendment] = ()) -> None:
        raise Refused("nothing is noted here", "Run the pipeline: `lockstep run`.")
