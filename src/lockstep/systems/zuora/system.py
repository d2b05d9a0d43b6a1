"""A Zuora tenant, as declared: `ls.Zuora.from_env()`."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit

from lockstep.errors import DeclarationError
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.plans.actions import DateRules
from lockstep.systems.zuora.plans.drift import Drift, Policy
from lockstep.systems.zuora.tables.callouts import Callouts
from lockstep.systems.zuora.tables.source import ZuoraTables
from lockstep.systems.zuora.target import ZuoraAccounts

_VARIABLES = ("ZUORA_URL", "ZUORA_CLIENT_ID", "ZUORA_CLIENT_SECRET")


class Zuora:
    """A tenant's API, as declared. Opens nothing until it is used, and never shows its secrets.

    `url` is that of the data centre's API, such as https://rest.zuora.com or https://rest.eu.zuora.com.
    `dates`: the tenant's time zone, and which trigger dates its settings ask for.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        dates: DateRules = DateRules(),  # noqa: B008 - frozen
        timeout: float = 130.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise DeclarationError(
                "the URL of a Zuora tenant is not the address of an API",
                "Write it as https://rest.zuora.com, and give client_id= and client_secret= beside it.",
            )
        self.url = url.rstrip("/")
        self.dates = dates
        self._client_id, self._client_secret = client_id, client_secret
        self._timeout = timeout

    @classmethod
    def from_env(cls, *, dates: DateRules = DateRules(), environ: Mapping[str, str] | None = None) -> Self:  # noqa: B008
        """The tenant that ZUORA_URL, ZUORA_CLIENT_ID and ZUORA_CLIENT_SECRET name."""
        found = os.environ if environ is None else environ
        missing = [name for name in _VARIABLES if not found.get(name)]
        if missing:
            raise DeclarationError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set in the environment",
                "Set ZUORA_URL=https://rest.zuora.com, ZUORA_CLIENT_ID and ZUORA_CLIENT_SECRET: those of an "
                "OAuth client of an API user.",
            )
        url, client_id, client_secret = (found[name] for name in _VARIABLES)
        return cls(url, client_id=client_id, client_secret=client_secret, dates=dates)

    @property
    def name(self) -> str:
        """Unique among all systems, without secrets."""
        return f"zuora:{urlsplit(self.url).netloc}"

    def connect(self, *, timeout: float | None = None) -> Client:
        """A pool of connections, for the caller to close."""
        return Client(self.url, self._client_id, self._client_secret, timeout=timeout or self._timeout)

    def accounts(
        self,
        *,
        rewrite_billed: bool = False,
        today: Callable[[], dt.date] | None = None,
        on_edit: Mapping[str, Policy] = MappingProxyType({}),
        transfers_within: dt.timedelta | None = None,
    ) -> ZuoraAccounts:
        """Its accounts, with all that hangs on them, as a target: a mapping returns `zuora.Account`.

        `rewrite_billed`: also what was billed is made as the mapping says, and Zuora credits and bills again;
        else such a change begins on the first day that is not billed. `today`: the tenant's date, where its
        clock is not the world's. `on_edit`: what becomes of an edit in Zuora, by field: "repair" (of those
        that are not named, too), "hold", "accept" or "report"; see `drift.Drift`. `transfers_within`:
        subscriptions may go from one account to another (an owner transfer): what its account returns no more
        waits for so long for another one to return it, and is cancelled only then.

        Raises DeclarationError where one of these says nothing.
        """
        if transfers_within is not None and transfers_within <= dt.timedelta(0):
            raise DeclarationError(
                f"transfers_within is {transfers_within}",
                "Say how long a subscription waits for its new account: dt.timedelta(minutes=10).",
            )
        return ZuoraAccounts(
            self,
            rewrite_billed=rewrite_billed,
            today=today,
            drift=Drift(on_edit),
            transfers_within=transfers_within,
        )

    def tables(
        self,
        *,
        custom: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        every: float = 10.0,
        overlap: dt.timedelta = dt.timedelta(minutes=5),
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        callouts: Callouts | None = None,
    ) -> ZuoraTables:
        """Its objects as a source: accounts, subscriptions, invoices, invoice-items, payments.

        custom   own fields to read: {"accounts": {"Region__c": "str"}}; str, int, bool, Decimal, dt.date or
                 dt.datetime
        every    seconds between two looks for what was updated; each costs a call for each table
        overlap  how far each look goes back before the newest date that it knows; it must be more than the
                 clocks are apart, and than an update takes to be seen
        now      the tenant's time, where its clock is not the world's
        callouts where a run listens for the tenant's callouts: each makes it look at once
        """
        return ZuoraTables(self, custom, every, overlap, now, callouts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Zuora) and (self.url, self._client_id) == (other.url, other._client_id)

    def __hash__(self) -> int:
        return hash((self.url, self._client_id))

    def __repr__(self) -> str:
        return f"Zuora({self.url!r})"
