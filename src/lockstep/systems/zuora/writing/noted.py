"""What is noted of each account: whose record it is, what was sent, which subscriptions are Lockstep's, and a
request whose fate is open."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from lockstep.forms import keys as key_bytes
from lockstep.ports.notes import Amendment, Condition, Note, Notes
from lockstep.systems.zuora.models import Account
from lockstep.systems.zuora.records import decoded, encoded
from lockstep.values import Change, Fingerprint, Key, Meta, Version

_META, _RECORD, _INTENT, _TARGET, _LEAVING = "account", "record", "intent", "target", "leaving"
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


def known_of(change: Change, returned: Iterable[str]) -> Known:
    """What is to be noted once a change is done. `returned`: subscriptions that become Lockstep's by it,
    beside those that it is noted of by then."""
    meta = change.meta
    return Known(
        mapping=meta.mapping,
        source=base64.b64encode(meta.key).decode(),
        fingerprint=meta.fingerprint,
        sum=meta.sum,
        version=meta.version,
        buried=change.record is None,
        ours=tuple(sorted(returned)),
    )


class Moved(msgspec.Struct, frozen=True):
    """A subscription that an order brings from another account, by their numbers."""

    subscription: str
    account: str


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription of Lockstep's that leaves an account, is returned by another one, or both.

    on      the number of the account that it is on, as far as is known
    since   the instant, in seconds since 1970, at which that account was first found not to return it; None:
            it still does
    wanted  the number of the account that returns it
    """

    on: str
    since: float | None = None
    wanted: str | None = None


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may have been sent. Its number and its key are of this intent, never of its content.

    order    the number of the order, where it is one
    key      the Idempotency-Key
    last     with it the change is done, and `known` is right
    account  what was sent of the account, with it
    moves    what it brings from other accounts: it is of these accounts, too
    """

    method: str
    path: str
    body: bytes
    order: str | None
    key: str
    last: bool
    known: Known
    account: bytes | None
    moves: tuple[Moved, ...] = ()


class Answer(NamedTuple):
    """A definite answer to an intent. `done`: Zuora has done what it asks for."""

    intent: Intent
    done: bool


def key_of(number: str) -> Key:
    """The target key of an account number."""
    return key_bytes.encode((number,))


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

    def all_known(self, after: Key | None = None) -> Iterator[tuple[Key, Known]]:
        """Of all accounts, in key order."""
        for key, body in self._all(_META, after):
            yield key, msgspec.json.decode(body, type=Known)

    def intend(self, intents: Mapping[Key, Intent], known: Mapping[Key, Known]) -> None:
        """Durable before anything is sent, with the subscriptions that are about to be Lockstep's.

        `known`: as it will be; until then the account is noted as it was.
        """
        self._notes.write(
            [Note(_INTENT, key, _encoded(one)) for key, one in intents.items()],
            [_amended(key, _begun(one)) for key, one in known.items()],
        )

    def close(self, answers: Mapping[Key, Answer]) -> None:
        """These intents, of changes that nobody works here, had their answers: what was sent with those that
        are done is noted.

        Another mapping's thread may have had the same answer and be at its next request by now: nothing is
        noted of an intent that does not stand any more when this is committed.
        """
        amended: list[Amendment] = []
        for key, answer in answers.items():
            intent, stands = answer.intent, _stands(key, answer.intent)
            if answer.done and intent.last:
                amended.append(_amended(key, _settled(intent.known), stands))
            if answer.done and (intent.last or intent.account is not None):
                amended.append(Amendment(_RECORD, key, _becomes(intent.account), stands))
        amended += _closed(answers)
        if amended:
            self._notes.write([], amended)

    def settle(
        self,
        answers: Mapping[Key, Answer],
        done: Mapping[Key, tuple[Known, bytes | None]],
        sent: Mapping[Key, bytes | None] = {},
    ) -> None:
        """These requests had their answers, and these changes are done. `sent`: of accounts whose change is
        not done.

        Another mapping's thread may note another one of these accounts: each is made of what is noted when
        this is committed, so that neither puts back what the other has changed.
        """
        amended = [_amended(key, _settled(one)) for key, (one, _) in done.items()]
        amended += _closed(answers)
        records = {**sent, **{key: account for key, (_, account) in done.items()}}
        notes = [Note(_RECORD, key, account) for key, account in records.items()]
        if notes or amended:
            self._notes.write(notes, amended)

    def arrived(self, moved: Sequence[Moved]) -> None:
        """These subscriptions were found to be Lockstep's on the accounts that they left no more."""
        if moved:
            self._notes.write([], [each for one in moved for each in _gone(one)])

    def leaving(self) -> dict[str, Leaving]:
        """By the number of the subscription: those that leave their accounts, or are returned by others."""
        return {
            str(key_bytes.decode(key)[0]): msgspec.json.decode(body, type=Leaving)
            for key, body in self._all(_LEAVING)
        }

    def note_leaving(self, changes: Mapping[str, Leaving | None]) -> None:
        if changes:
            self._notes.write(
                [
                    Note(_LEAVING, key_of(number), None if one is None else _encoded(one))
                    for number, one in changes.items()
                ]
            )

    def wish(self, wished: Mapping[Key, bytes | None]) -> None:
        """What these accounts should be, where nothing more is sent for now."""
        if wished:
            self._notes.write([Note(_RECORD, key, account) for key, account in wished.items()])

    def _all(self, kind: str, after: Key | None = None) -> Iterator[tuple[Key, bytes]]:
        while True:
            page = self._notes.scan(kind, after, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]


def note_of(account: Account | None) -> bytes | None:
    return None if account is None else encoded(account)


def _stands(key: Key, intent: Intent) -> Condition:
    """Nobody has had the answer of an intent yet, and made another one in its place."""

    def holds(body: bytes | None) -> bool:
        return body is not None and msgspec.json.decode(body, type=Intent).key == intent.key

    return Condition(_INTENT, key, holds)


def _closed(answers: Mapping[Key, Answer]) -> list[Amendment]:
    """The intents are taken away, and what those that are done have moved has moved."""
    amended: list[Amendment] = []
    for key, (intent, done) in answers.items():
        stands = _stands(key, intent)
        amended.append(Amendment(_INTENT, key, _becomes(None), stands))
        for one in intent.moves if done else ():
            amended += _gone(one, stands)
    return amended


def _gone(one: Moved, where: Condition | None = None) -> tuple[Amendment, ...]:
    """A subscription has left its account, where it waited to."""
    return (
        _amended(key_of(one.account), _left(one.subscription), where),
        Amendment(_LEAVING, key_of(one.subscription), _becomes(None), where),
    )


def _becomes(body: bytes | None) -> Callable[[bytes | None], bytes | None]:
    return lambda _: body


def _amended(
    key: Key, change: Callable[[Known | None], Known | None], where: Condition | None = None
) -> Amendment:
    def made(body: bytes | None) -> bytes | None:
        one = change(None if body is None else msgspec.json.decode(body, type=Known))
        return None if one is None else _encoded(one)

    return Amendment(_META, key, made, where)


def _begun(one: Known) -> Callable[[Known | None], Known]:
    """It is about to be `one`: nothing but what is Lockstep's to end is noted yet."""
    return lambda now: replace(one, own=False) if now is None else replace(now, ours=_both(now, one))


def _settled(one: Known) -> Callable[[Known | None], Known]:
    return lambda now: one if now is None else replace(one, ours=_both(now, one))


def _left(subscription: str) -> Callable[[Known | None], Known | None]:
    """It is on this account no more."""

    def changed(now: Known | None) -> Known | None:
        if now is None:
            return None
        return replace(now, ours=tuple(one for one in now.ours if one != subscription))

    return changed


def _both(one: Known, other: Known) -> tuple[str, ...]:
    return tuple(sorted({*one.ours, *other.ours}))


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)
