"""A tenant: its settings, clock and store, and what handlers ask of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from .clock import Clock
from .engine.custom import assert_fits, custom_of
from .engine.history import History
from .engine.settings import Settings
from .engine.tree import Refused, Version
from .faults import Faults
from .forms import decode, encode, instant
from .limits import Limits
from .rows import Row, rows_of
from .store import Store
from .users import acting
from .zoql import Locator


class Tenant:
    """One stand-in. `path` None keeps all of it in memory; else a restart finds what the last one left."""

    def __init__(self, path: Path | None = None, settings: Settings | None = None) -> None:
        self.store = Store(path)
        said = self.store.remembered("settings")
        self.settings = settings or (msgspec.json.decode(said, type=Settings) if said else Settings())
        self.clock = Clock(self.settings.zone, self.store.remembered("clock"))
        self.faults = Faults()
        self.limits = Limits()
        self.counts: Counter[str] = Counter()
        """Requests by method and template of the path, since the start."""
        self.locators: dict[str, Locator] = {}
        self.busy: set[str] = set()
        """Numbers of the accounts on which an order is at work: another one meets their lock."""
        self.busy_lock = threading.Lock()
        self._day = date.min
        self.set(self.settings)

    def set(self, settings: Settings) -> None:
        """Other settings, from now on. What was made under others stays."""
        if settings.zone != self.settings.zone:
            self.clock = Clock(settings.zone, self.clock.state)
        self.settings = settings
        self.store.remember("settings", msgspec.json.encode(settings).decode())

    def set_clock(self, now: datetime | None, *, frozen: bool) -> None:
        """Another time; what a restart goes on from. None is the machine's."""
        self.clock.set(now, frozen=frozen)
        self.store.remember("clock", self.clock.state)
        with self.store.transaction():
            self.turn_day()

    def now(self) -> str:
        return instant(self.clock.now())

    def put(
        self, kind: str, doc: dict[str, Any], *, number: str | None = None, parent: str | None = None
    ) -> None:
        """A new record, with its stamps."""
        now = self.now()
        who = acting()
        stamped = {**doc, "createdDate": now, "updatedDate": now, "createdById": who, "updatedById": who}
        self.store.put(kind, stamped, updated=now, number=number, parent=parent)

    def change(self, kind: str, id: str, **fields: Any) -> None:
        now = self.now()
        self.store.change(kind, id, now, {**fields, "updatedDate": now, "updatedById": acting()})

    def found(self, kind: str, key: str, name: str) -> dict[str, Any]:
        """A record by id or number; raises Refused (not found) where there is none."""
        doc = self.store.keyed(kind, key)
        if doc is None:
            raise Refused(40, f"Cannot find entity by key: '{key}' ({name}).")
        return doc

    def customs(self, object: str, fields: Mapping[str, Any], *, new: bool = False) -> dict[str, Any]:
        """The custom fields among those that are sent for an object; raises Refused where one does not fit
        what is defined."""
        assert_fits(self.settings.custom_fields, object, fields, new=new)
        return custom_of(fields)

    def assert_may_read(self, object: str) -> None:
        """Raises Refused where the API user may not read an object, by its API name."""
        if object in self.settings.unreadable:
            raise Refused(10, f"The user has no permission to read {object}.")

    def save(self, old: History, new: History) -> None:
        """Make the stored versions and their rows those of `new`, of which the store holds `old`."""
        kept = {version.id: version for version in new}
        before = {version.id: version for version in old}
        for version in old:
            if version.id not in kept:
                self.store.drop_version(version.id)
                for row in self._rows(version, latest=False):
                    self.store.drop(row.kind, row.doc["id"])
        for version in new:
            was_last = bool(old) and version.id == old[-1].id
            is_last = version.id == new[-1].id
            if before.get(version.id) is version and was_last == is_last:
                continue
            self.store.keep_version(version)
            self._put(version, is_last)

    def turn_day(self) -> None:
        """Where the day is another one: termed subscriptions whose term is over have expired."""
        today = self.clock.today()
        if today == self._day:
            return
        self._day = today
        over = self.store.where(
            "subscriptions",
            "doc ->> 'isLatestVersion' AND doc ->> 'status' IN ('Active', 'Expired') "
            "AND (doc ->> 'termEndDate' <= ?) <> (doc ->> 'status' = 'Expired')",
            [today.isoformat()],
        )
        for doc in over:
            self.change(
                "subscriptions", doc["id"], status="Expired" if doc["status"] == "Active" else "Active"
            )

    def _put(self, version: Version, latest: bool) -> None:
        now = self.now()
        for row in self._rows(version, latest):
            old = self.store.get(row.kind, row.doc["id"])
            made = {name: old[name] for name in ("createdDate", "createdById")} if old else {}
            doc = decode(encode(row.doc | made))
            if old is not None and _without_update(doc) == _without_update(old):
                continue
            self.store.put(row.kind, doc, updated=now, number=row.number, parent=row.parent)

    def _rows(self, version: Version, latest: bool) -> list[Row]:
        ids = {
            number: self.found("accounts", number, "account")["id"]
            for number in {version.account, version.invoice_owner}
        }
        order = self.store.numbered("orders", version.order)
        if order is not None:
            ids[version.order] = order["id"]
        return list(rows_of(version, latest, self.clock.today(), self.now(), ids))


def _without_update(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name not in {"updatedDate", "updatedById"}}
