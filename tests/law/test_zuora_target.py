"""Zuora's accounts as a target keep the laws of `Writer`, against the stand-in.

A record of the law travels as the own fields of an account (`text` as `text__c`). What the laws ask and such
a target cannot do, and which hook says so:

- An own field is a text, a number, a boolean, or none: `cannot_hold` is all other kinds.
- An account's number is a part of a path: `awkward_keys` has none with a slash.
- An account that somebody else made is nobody's business, and no scan tells it: `plant` puts none there. How
  it is taken over, `tests/zuora/test_adopt.py` says.
- There is one build, the tenant's accounts themselves (`generational`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.zuora import app
from tests.zuora.notes import MemoryNotes

from lockstep.errors import DataError
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.forms.keys import decode
from lockstep.ports import Target, Writer
from lockstep.systems import zuora
from lockstep.systems.zuora.records import record_of
from lockstep.systems.zuora.target import ZuoraAccounts
from lockstep.testing.writer_law import WriterLaw
from lockstep.testing.writer_values import AWKWARD_KEYS, KINDS
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.tenant import Tenant
from lockstep.values import Change, Contents, Fingerprint, Held, Identity, Key, Meta, Outcome, Record

OWN_FIELDS = {"text", "text_nul", "integer", "big_integer", "decimal", "boolean", "null"}


class LawAccounts:
    """The accounts of a tenant, for records of the law."""

    def __init__(self, accounts: ZuoraAccounts, notes: MemoryNotes) -> None:
        self.notes = notes
        self._accounts = accounts.noting(notes)
        self._told: dict[tuple[Key, int], Fingerprint] = {}

    @property
    def name(self) -> str:
        return self._accounts.name

    def key(self, values: Sequence[Any]) -> Key:
        return self._accounts.key(values)

    def open(self, generation: int) -> Writer:
        return LawWriter(self._accounts.open(generation), self._told)

    def check(self) -> list[Any]:
        return self._accounts.check()


class LawWriter:
    """`told`: the fingerprints of the law's own records. The writer asks for that of the account."""

    def __init__(self, writer: Writer, told: dict[tuple[Key, int], Fingerprint]) -> None:
        self._writer, self._told = writer, told
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
        record = account_of_law(str(decode(change.key)[0]), change.record)
        with contextlib.suppress(DataError):
            self._told[change.key, change.meta.version] = change.meta.fingerprint
            mark = fingerprint(change.key, canonical(record))
            change = replace(change, meta=replace(change.meta, fingerprint=mark))
        return replace(change, record=record)

    def _held(self, held: Held) -> Held:
        own = {name.removesuffix("__c"): value for name, value in held.record["custom"].items()}
        return replace(held, record=own, meta=None if held.meta is None else self._meta(held.key, held.meta))

    def _meta(self, key: Key, meta: Meta) -> Meta:
        return replace(meta, fingerprint=self._told[key, meta.version])


def account_of_law(number: str, record: Record) -> Record:
    account = zuora.Account(
        key=number,
        name="of the law",
        currency="EUR",
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", country="Spain"),
    )
    return {**record_of(account), "custom": {f"{name}__c": value for name, value in record.items()}}


class TestZuoraAccounts(WriterLaw):
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
        return LawAccounts(tenant.accounts(today=lambda: app.TODAY), MemoryNotes())

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
