"""Subscriptions that go from one account to another: which wait, which come, which may not. Of one batch.

An app moves a contract in one transaction, but the two accounts are worked apart, in any order. So a
subscription is brought over once both want it: the account that it is on returns it no more, and another one
returns it. Until then nothing is ended that another account returns; where moves are expected, nothing is
ended before another account has had the time to.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.located import Located, located
from lockstep.systems.zuora.accounts.reading import Several
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.failures import Declined
from lockstep.systems.zuora.plans.account_plan import Move, Wait
from lockstep.systems.zuora.writing.asked import Asked
from lockstep.systems.zuora.writing.noted import Leaving, Moved, Noted, key_of
from lockstep.values import Key


class Moves:
    """What is known of subscriptions that go from one account of Lockstep's to another.

    within  how long what its account returns no more waits for another one to return it; None: it is ended
            at once, and moves are a person's
    asked   the batch; only what has no outcome yet is looked at
    """

    def __init__(
        self,
        client: Client,
        noted: Noted,
        several: Several,
        within: dt.timedelta | None,
        asked: Mapping[Key, Asked],
    ) -> None:
        self._client, self._noted, self._several = client, noted, several
        self._within, self._asked = within, asked
        self._leaving = noted.leaving()
        self._changed: dict[str, Leaving | None] = {}
        self._arrived: list[Moved] = []
        self._elsewhere: dict[str, Located | DataError | None] = {}
        self.moved: set[str] = set()

    def movers(self, accounts: Iterable[Key]) -> list[Key]:
        """Whose requests may be of these accounts, too."""
        some = set(accounts)
        leaving = (one for one in self._leaving.values() if key_of(one.on) in some)
        return [key_of(one.wanted) for one in leaving if one.wanted is not None]

    def claim(self) -> None:
        """Takes from the batch which account returns what: before anything of it is planned."""
        open_ = {one.number: one for one in self._asked.values() if one.outcome is None}
        for number, note in list(self._leaving.items()):
            on, wanting = open_.get(note.on), open_.get(note.wanted or "")
            if on is not None and number in on.returned:
                note = replace(note, since=None)
            if wanting is not None and number not in wanting.returned:
                note = replace(note, wanted=None, since=None if note.since is None else time.time())
            self._note(number, note)
        left = {
            number: one.number
            for one in open_.values()
            if one.known is not None
            for number in set(one.known.ours) - one.returned
        }
        for one in open_.values():
            for number in one.returned & (left.keys() | self._leaving.keys()):
                note = self._leaving.get(number) or Leaving(on=left[number])
                if note.on != one.number and note.wanted is None:
                    self._note(number, replace(note, wanted=one.number))

    # what comes

    def look(self, one: Asked, tree: FoundAccount | None, *, always: bool = False) -> list[str]:
        """The subscriptions that it should have, has not, and that may be on another account: where a note
        says so, or Zuora has refused to make them."""
        missing = one.missing = _missing(one, tree)
        if always or one.stale or one.refused is not None:
            return sorted(missing)
        return sorted(
            each for each in missing if each in self._leaving and self._leaving[each].on != one.number
        )

    def find(self, numbers: Sequence[str]) -> None:
        """One call each."""
        self._elsewhere |= dict(zip(numbers, self._several.each(self._located, numbers), strict=True))

    def _located(self, number: str) -> Located | DataError | None:
        try:
            return located(self._client, number)
        except DataError as error:
            return error
        except Declined as error:
            return DataError(str(error), error.remedy)

    def coming(self, one: Asked, tree: FoundAccount | None) -> list[Move]:
        """What is to be brought to an account. Raises DataError where something may not be, yet or at all."""
        self._arrive(one, tree)
        return [
            self._move(one, there)
            for number in sorted(one.missing & self._elsewhere.keys())
            if (there := self._said(number)) is not None and there.found.account != one.number
        ]

    def _said(self, number: str) -> Located | None:
        there = self._elsewhere[number]
        if isinstance(there, DataError):
            raise there
        return there

    def _arrive(self, one: Asked, tree: FoundAccount | None) -> None:
        """What is there, by an order whose answer nobody took, or by a person's hand."""
        for each in () if tree is None else tree.subscriptions:
            note = self._leaving.get(each.number)
            if note is not None and note.on != one.number and each.number in one.returned:
                self._arrived.append(Moved(each.number, note.on))
                self.arrived(self._arrived[-1:])

    def _move(self, one: Asked, there: Located) -> Move:
        found, on = there.found, there.found.account
        number = found.number
        known = self._noted.known([key_of(on)]).get(key_of(on))
        if known is None or number not in known.ours:
            raise DataError(
                f"account {one.number} should have subscription {number}, which is on account {on} in Zuora "
                "and is not Lockstep's",
                f"Give it another key, or bring it to account {one.number} by an owner transfer in Zuora.",
            )
        if found.cancelled is not None:
            raise DataError(
                f"account {one.number} should have subscription {number}, which was cancelled on account "
                f"{on}: what is cancelled can neither move nor change",
                "Delete the order that cancelled it in Zuora, or give what should go on a key of its own.",
            )
        note = self._leaving.get(number) or Leaving(on=on)
        if note.wanted not in (None, one.number, on):
            raise DataError(
                f"accounts {note.wanted} and {one.number} both return subscription {number}",
                "Let one of them return it, or give them different keys.",
            )
        self._note(number, replace(note, on=on, wanted=one.number))
        if not self._gone(number, on):
            raise DataError(
                f"account {one.number} should have subscription {number}, which account {on} returns, too, "
                "as far as it was worked",
                f"Nothing to do where {on} is about to be worked. Else let one of them return it.",
            )
        if self._within is None:
            raise DataError(
                f"subscription {number} is on account {on} in Zuora, and account {one.number} returns it now",
                f"Bring it to account {one.number} by an owner transfer in Zuora, or let Lockstep: "
                "accounts(transfers_within=dt.timedelta(minutes=10)). It is not cancelled meanwhile.",
            )
        self._assert_free(one, there)
        return Move(on, found, there.custom)

    def _gone(self, number: str, on: str) -> bool:
        """Whether the account that it is on is known to return it no more."""
        key = key_of(on)
        other = self._asked.get(key)
        if other is not None and other.newest:
            return number not in other.returned
        if self._leaving[number].since is not None:
            return True
        known = self._noted.known([key]).get(key)
        sent = self._noted.records([key]).get(key)
        if known is None or not known.own:
            return False
        return sent is None or number not in {one.key for one in sent.subscriptions}

    def _assert_free(self, one: Asked, there: Located) -> None:
        """Raises DataError where no order can bring it."""
        found = there.found
        if found.suspended is not None:
            raise DataError(
                f"subscription {found.number} should go from account {found.account} to {one.number}, and is "
                f"suspended since {found.suspended}: it can only be resumed",
                "Resume it in Zuora; then it is brought over.",
            )
        if there.payer not in (None, found.account, one.number):
            raise DataError(
                f"subscription {found.number} should go from account {found.account} to {one.number}, and is "
                f"billed to account {there.payer}: who pays then, only a person can say",
                "Bring it over by an owner transfer in Zuora.",
            )
        if one.account is not None and there.currency not in (None, one.account.currency):
            raise DataError(
                f"subscription {found.number} should go from account {found.account} to {one.number}, and is "
                f"in {there.currency}, not in {one.account.currency}",
                "Give it another key: the one of the old currency ends, and a new one begins.",
            )

    # what goes

    def kept(self, one: Asked, ended: Iterable[str]) -> dict[str, Wait]:
        """Of subscriptions that a plan ends, as the account returns them no more, those that are not ended
        yet, and why."""
        waits: dict[str, Wait] = {}
        for number in ended:
            note = self._leaving.get(number) or Leaving(on=one.number)
            wanted = None if note.wanted == one.number else note.wanted
            begun = note.since if note.on == one.number else None
            since = time.time() if begun is None else begun
            until = None if self._within is None else since + self._within.total_seconds()
            if wanted is not None:
                why = (
                    f"subscription {number} is returned by account {wanted} now: it waits to go there, and "
                    "is not cancelled"
                )
                waits[number] = Wait(why, None if until is None else math.inf)
            elif until is not None and time.time() < until:
                moment = dt.datetime.fromtimestamp(until, dt.UTC)
                why = (
                    f"subscription {number} is returned by no account any more: until {moment:%H:%M} UTC "
                    "another one may return it, then it is cancelled"
                )
                waits[number] = Wait(why, until)
            else:
                continue
            self._note(number, Leaving(on=one.number, since=since, wanted=wanted))
        return waits

    # what is noted

    def arrived(self, moved: Iterable[Moved]) -> None:
        """These are where they should be: Lockstep's there, and not on the accounts that they left."""
        for one in moved:
            self._leaving.pop(one.subscription, None)
            self._elsewhere.pop(one.subscription, None)
            self._changed.pop(one.subscription, None)
            self.moved.add(one.subscription)
            before = self._asked.get(key_of(one.account))
            if before is not None and before.known is not None:
                left = tuple(each for each in before.known.ours if each != one.subscription)
                before.known = replace(before.known, ours=left)

    def flush(self) -> None:
        """Makes durable what was found: before anything is sent, and before the batch has its outcomes."""
        done = {one.number for one in self._asked.values() if one.settled}
        for number, note in list(self._leaving.items()):
            if note.on in done and note.wanted is None:
                self._note(number, None)
        self._noted.arrived(self._arrived)
        self._noted.note_leaving(self._changed)
        self._arrived, self._changed = [], {}

    def _note(self, number: str, note: Leaving | None) -> None:
        if note is not None and note.since is None and note.wanted is None:
            note = None
        if note == self._leaving.get(number):
            return
        self._changed[number] = note
        if note is None:
            del self._leaving[number]
        else:
            self._leaving[number] = note


def _missing(one: Asked, tree: FoundAccount | None) -> frozenset[str]:
    """What an account should have and has not."""
    if tree is None:
        return one.returned
    return one.returned - {each.number for each in tree.subscriptions} - tree.unsaid.keys()
