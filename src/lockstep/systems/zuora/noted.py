"""What is noted of each account: whose record it is, what was sent, which subscriptions are Lockstep's, and a
request whose fate is open."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from lockstep.notes import Note, Notes
from lockstep.systems.zuora.models import Account
from lockstep.systems.zuora.records import decoded, encoded
from lockstep.values import Change, Fingerprint, Key, Meta, Version

_META, _RECORD, _INTENT, _TARGET = "account", "record", "intent", "target"
_PAGE = 1_000


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is noted of an account. `buried`: it was removed; `ours`: subscriptions that Lockstep may end."""

    mapping: str
    source: str
    fingerprint: int
    sum: int
    version: int
    buried: bool = False
    ours: tuple[str, ...] = ()
    own: bool = True
    """False for one that Lockstep has only begun to make: nothing says yet that its record is from here."""

    @property
    def meta(self) -> Meta:
        source = Key(base64.b64decode(self.source))
        return Meta(self.mapping, source, Fingerprint(self.fingerprint), self.sum, Version(self.version))


def known_of(change: Change, ours: Sequence[str]) -> Known:
    """What is to be noted once a change is done."""
    meta = change.meta
    return Known(
        mapping=meta.mapping,
        source=base64.b64encode(meta.key).decode(),
        fingerprint=meta.fingerprint,
        sum=meta.sum,
        version=meta.version,
        buried=change.record is None,
        ours=tuple(sorted(ours)),
    )


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may have been sent. Its number and its key are of this intent, never of its content.

    order  the number of the order, where it is one
    key    the Idempotency-Key
    last   with it the change is done, and `known` and `account` are right
    """

    method: str
    path: str
    body: bytes
    order: str | None
    key: str
    last: bool
    known: Known
    account: bytes | None


class Noted:
    """The notes on one generation, typed."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def marker(self) -> str | None:
        found = self._notes.read(_TARGET, [Key(b"")]).get(Key(b""))
        return None if found is None else found.decode()

    def leave(self, marker: str) -> None:
        self._notes.write([Note(_TARGET, Key(b""), marker.encode())])

    def known(self, keys: Sequence[Key]) -> dict[Key, Known]:
        found = self._notes.read(_META, keys)
        return {key: msgspec.json.decode(body, type=Known) for key, body in found.items()}

    def records(self, keys: Sequence[Key]) -> dict[Key, Account]:
        """What was sent last, or what one should be that was taken over and left as it is."""
        return {key: decoded(body) for key, body in self._notes.read(_RECORD, keys).items()}

    def intents(self, keys: Sequence[Key]) -> dict[Key, Intent]:
        found = self._notes.read(_INTENT, keys)
        return {key: msgspec.json.decode(body, type=Intent) for key, body in found.items()}

    def all_known(self, after: Key | None = None, limit: int = _PAGE) -> Iterator[tuple[Key, Known]]:
        """Of all accounts, in key order."""
        while True:
            page = self._notes.scan(_META, after, limit)
            for key, body in page:
                yield key, msgspec.json.decode(body, type=Known)
            if len(page) < limit:
                return
            after = page[-1][0]

    def intend(self, intents: Mapping[Key, Intent], known: Mapping[Key, Known]) -> None:
        """Durable before anything is sent, with the subscriptions that are about to be Lockstep's."""
        self._notes.write(
            [Note(_INTENT, key, _encoded(one)) for key, one in intents.items()]
            + [Note(_META, key, _encoded(one)) for key, one in known.items()]
        )

    def settle(self, closed: Sequence[Key], done: Mapping[Key, tuple[Known, bytes | None]]) -> None:
        """These requests had their answers, and these changes are done."""
        notes = [Note(_INTENT, key, None) for key in closed]
        for key, (known, account) in done.items():
            notes += [Note(_META, key, _encoded(known)), Note(_RECORD, key, account)]
        if notes:
            self._notes.write(notes)

    def wish(self, wished: Mapping[Key, bytes | None]) -> None:
        """What these accounts should be, where nothing is sent for now."""
        if wished:
            self._notes.write([Note(_RECORD, key, account) for key, account in wished.items()])


def note_of(account: Account | None) -> bytes | None:
    return None if account is None else encoded(account)


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)
