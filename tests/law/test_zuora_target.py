"""Zuora's accounts as a target keep the laws of `Writer`, against the stand-in.

A record of the law travels as the own fields of an account (`text` as `text__c`), of its subscription, or of
its charges. What the laws ask and such a target cannot do, and which hook says so:

- An own field is a text, a number, a boolean, or none: `cannot_hold` is all other kinds.
- An account's number is a part of a path: `awkward_keys` has none with a slash.
- An account that somebody else made is nobody's business, and no scan tells it: `plant` puts none there. How
  it is taken over, `tests/zuora/test_adopt.py` says.
- There is one build, the tenant's accounts themselves (`generational`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import pytest
from msgspec.structs import replace
from tests.zuora import app
from tests.zuora.notes import MemoryNotes

from lockstep.errors import DataError
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.forms.keys import decode
from lockstep.ports import Target, Writer
from lockstep.systems.zuora.records import record_of
from lockstep.systems.zuora.target import ZuoraAccounts
from lockstep.testing.writer_hooks import WriterHooks
from lockstep.testing.writer_law import WriterLaw
from lockstep.testing.writer_records import RecordsLaw
from lockstep.testing.writer_values import AWKWARD_KEYS, KINDS
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.tenant import Tenant
from lockstep.values import Change, Contents, Fingerprint, Held, Identity, Key, Meta, Outcome, Record

OWN_FIELDS = {"text", "text_nul", "integer", "big_integer", "decimal", "boolean", "null"}


class Parts(NamedTuple):
    """`of`: which parts of a record have the values of the law as their own fields; `subscribed`: the account
    has a subscription, with two prices."""

    subscribed: bool
    of: Callable[[Record], list[Any]]


ACCOUNT = Parts(False, lambda record: [record])
SUBSCRIPTION = Parts(True, lambda record: record["subscriptions"])
CHARGES = Parts(
    True, lambda record: [one["value"]["Pro-seat"] for one in record["subscriptions"][0]["charges"]["Pro"]]
)


class LawAccounts:
    """The accounts of a tenant, for records of the law."""

    def __init__(self, accounts: ZuoraAccounts, notes: MemoryNotes, parts: Parts) -> None:
        self.notes, self._parts = notes, parts
        self._accounts = accounts.noting(notes)
        self._told: dict[tuple[Key, int], Fingerprint] = {}

    @property
    def name(self) -> str:
        return self._accounts.name

    def key(self, values: Sequence[Any]) -> Key:
        return self._accounts.key(values)

    def open(self, generation: int) -> Writer:
        return LawWriter(self._accounts.open(generation), self._told, self._parts)

    def check(self) -> list[Any]:
        return self._accounts.check()


class LawWriter:
    """`told`: the fingerprints of the law's own records. The writer asks for that of the account."""

    def __init__(self, writer: Writer, told: dict[tuple[Key, int], Fingerprint], parts: Parts) -> None:
        self._writer, self._told, self._parts = writer, told, parts
        self.features = writer.features

    def identity(self) -> Identity | None:
        return self._writer.identity()

    def contents(self) -> Contents:
        return self._writer.contents()

    def create(self, marker: str) -> Identity:
        return self._writer.create(marker)

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._writer.write([self._sent(one) for one in changes])

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        return {key: self._held(one) for key, one in self._writer.read(keys).items()}

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        return [self._held(one) for one in self._writer.scan(after, limit)]

    def close(self) -> None:
        self._writer.close()

    def _sent(self, change: Change) -> Change:
        if change.record is None:
            return change
        record = self._account(str(decode(change.key)[0]), change.record)
        with contextlib.suppress(DataError):
            self._told[change.key, change.meta.version] = change.meta.fingerprint
            mark = fingerprint(change.key, canonical(record))
            change = replace(change, meta=replace(change.meta, fingerprint=mark))
        return replace(change, record=record)

    def _account(self, number: str, own: Record) -> Record:
        plain = app.example()
        one = replace(plain.subscriptions[0], key=f"S-{number}")
        subscriptions = (one,) if self._parts.subscribed else ()
        record = record_of(replace(plain, key=number, subscriptions=subscriptions))
        for part in self._parts.of(record):
            part["custom"] = {f"{name}__c": value for name, value in own.items()}
        return record

    def _held(self, held: Held) -> Held:
        fields = self._parts.of(held.record)[0]["custom"]
        own = {name.removesuffix("__c"): value for name, value in fields.items()}
        return replace(held, record=own, meta=None if held.meta is None else self._meta(held.key, held.meta))

    def _meta(self, key: Key, meta: Meta) -> Meta:
        return replace(meta, fingerprint=self._told[key, meta.version])


class ZuoraHooks(WriterHooks):
    parts: ClassVar[Parts]
    cannot_hold = frozenset(KINDS.keys() - OWN_FIELDS)
    awkward_keys = tuple(one for one in AWKWARD_KEYS if "/" not in one)
    generational = False
    bulk = 300
    tenant: Tenant

    @pytest.fixture
    def target(self, zuora_twin: ZuoraTwin) -> Target:
        app.stocked(zuora_twin).http.close()
        self.tenant = zuora_twin.tenant
        tenant = app.tenant_of(zuora_twin)
        return LawAccounts(tenant.accounts(today=lambda: app.TODAY), MemoryNotes(), self.parts)

    def drop(self, target: Target) -> bool:
        assert isinstance(target, LawAccounts)
        target.notes.kept.clear()
        return True

    def bad_record(self) -> Record | None:
        return {"numbers": [1]}

    @contextlib.contextmanager
    def cut(self, target: Target) -> Iterator[None]:
        self.tenant.faults.set([Fault(kind="503")])
        yield
        self.tenant.faults.set([])


class TestZuoraAccounts(ZuoraHooks, WriterLaw):
    parts = ACCOUNT


class TestZuoraSubscriptions(ZuoraHooks, RecordsLaw):
    """A cancelled subscription stays so where its account is removed and comes back: the laws of versions,
    which do that, are for accounts alone."""

    parts = SUBSCRIPTION


class TestZuoraCharges(ZuoraHooks, RecordsLaw):
    parts = CHARGES
