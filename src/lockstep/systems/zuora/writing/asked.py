"""One change of a batch on its way: what is known of its account, what was planned, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from lockstep.errors import DataError, LockstepError, Refused
from lockstep.forms import keys as key_bytes
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.api.failures import Declined, Failed, Unsure
from lockstep.systems.zuora.models import Account
from lockstep.systems.zuora.plans.account_plan import Wait
from lockstep.systems.zuora.records import account_of, as_noted
from lockstep.systems.zuora.writing.delivery import Stale
from lockstep.systems.zuora.writing.noted import Intent, Known, known_of, note_of
from lockstep.systems.zuora.writing.requests import Request, numbered
from lockstep.systems.zuora.writing.sent import sent_after
from lockstep.values import Change, Key, Outcome, Status

_TRIES = 4
"""Times that a kind of failure which passes is tried again before the engine is told to come back later."""

_STALE = 3
"""Times that a change is planned anew because something stood in its way."""

_TRANSFER = "See whether the tenant has Owner Transfer (Feature Management). Nothing is cancelled meanwhile."


@dataclass
class Asked:
    """A change, and its state. `account`: what should be, None: nothing; `before`: what was sent, `sent`: and
    is still to be noted; `waits`:
    subscriptions that cannot be ended yet, and why; `missing`: those that it should have and has not;
    `refused`: what Zuora said, before it was looked for them on other accounts."""

    change: Change
    number: str
    account: Account | None
    known: Known | None = None
    before: Account | None = None
    requests: list[Request] = field(default_factory=list)
    whole: bool = True
    waits: dict[str, Wait] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    intent: Intent | None = None
    outcome: Outcome | None = None
    wrote: bool = False
    lost: bool = False
    settled: bool = False
    sent: bool = False
    tries: int = 0
    stale: int = 0
    refused: Declined | None = None

    @property
    def likely(self) -> FoundAccount | None:
        """The account itself as it was sent, where nothing of it changes and its subscriptions do: then it
        need not be read. What is sent once more is read whole, as somebody may have edited it."""
        before, now, known = self.before, self.account, self.known
        if before is None or now is None or known is None or known.buried or not known.own:
            return None
        if before == now or replace(before, subscriptions=()) != replace(now, subscriptions=()):
            return None
        return FoundAccount(
            number=now.key,
            name=now.name,
            currency=now.currency,
            bill_to=now.bill_to,
            sold_to=now.sold_to,
            custom=now.custom,
        )

    @property
    def currency(self) -> str:
        """Of the account as it should be, or as it was sent; empty where neither is known."""
        one = self.account or self.before
        return "" if one is None else one.currency

    @property
    def unasked(self) -> bool:
        """Zuora was not reached at all."""
        return self.lost and not self.wrote

    @property
    def ours(self) -> Sequence[str]:
        """The subscriptions that are Lockstep's to end: all that the mapping ever returned."""
        made = () if self.known is None else self.known.ours
        return sorted({*made, *self.returned})

    @property
    def returned(self) -> frozenset[str]:
        """The numbers of the subscriptions that the mapping returns."""
        return frozenset(() if self.account is None else (one.key for one in self.account.subscriptions))

    @property
    def newest(self) -> bool:
        """Whether it is what the account should be now."""
        return self.outcome is None or self.outcome.status is not Status.SUPERSEDED

    @property
    def touched(self) -> frozenset[str]:
        """The numbers of the accounts that the next request changes."""
        return frozenset({self.number, *(one.account for one in self.requests[0].moves)})

    @property
    def waiting(self) -> Outcome:
        """The outcome where all is done but what waits."""
        told = "; ".join(one.why for one in self.waits.values())
        ends = [one.until for one in self.waits.values() if one.until is not None]
        return Outcome(Status.REJECTED, told, again=min(ends) if len(ends) == len(self.waits) else None)

    @property
    def only_waits(self) -> bool:
        """Whether all is done but what waits."""
        return bool(self.waits) and self.outcome == self.waiting

    @property
    def told(self) -> Outcome:
        """The outcome, as the engine is told it."""
        if self.outcome is None:
            return Outcome(Status.UNKNOWN, "it was not done after many orders")
        partly = self.wrote and self.outcome.status is Status.REJECTED
        return replace(self.outcome, partly=True) if partly else self.outcome

    @property
    def done(self) -> tuple[Known, bytes | None]:
        """What is noted once it is done."""
        return known_of(self.change, self.returned), note_of(self.account)

    def intend(self) -> tuple[Intent, Known]:
        """Gives the next request a number and a key, to be noted before it is sent, and what is noted of the
        account once the change is done."""
        request = self.requests[0]
        order, key, body = numbered(request)
        known, account = self.done
        last = len(self.requests) == 1 and self.whole
        self.intent = Intent(
            method=request.method,
            path=request.path,
            body=body,
            order=order,
            key=key,
            last=last,
            known=known,
            account=account if last else note_of(sent_after(self.before, self.account, request.makes)),
            moves=request.moves,
        )
        return self.intent, known

    def answered(self, error: Exception | None) -> bool:
        """Takes what became of the request: whether its intent is closed. Raises what is the tenant's."""
        if error is None:
            self.wrote = True
            self.tries = 0
            before, made = self.before, self.requests.pop(0).makes
            self.before = sent_after(before, self.account, made)
            self.sent = self.sent or self.before != before
            if not self.requests and self.whole:
                self.outcome = Outcome(Status.APPLIED)
            return True
        if isinstance(error, Failed):
            self.tries += 1
            if self.tries >= _TRIES:
                self.outcome = Outcome(Status.UNKNOWN, f"it failed {self.tries} times: {error}")
            return True
        if isinstance(error, Stale):
            self.stale += 1
            self.requests = []
            if self.stale >= _STALE:
                self.outcome = Outcome(
                    Status.REJECTED,
                    f"{error}. Another account has a subscription of that number: give it another key, or "
                    "bring it here by an owner transfer in Zuora",
                )
            return True
        if isinstance(error, Declined):
            if self.intent is not None and self.intent.moves:
                self.outcome = rejected(Refused(str(error), _TRANSFER))
            elif self.missing and self.refused is None:
                self.refused, self.requests = error, []
            else:
                self.outcome = rejected(error)
            return True
        if definite(error):
            return True
        self.doubt(error)
        return False

    def doubt(self, error: Exception) -> None:
        """Nobody can say what became of a request: that is the outcome."""
        self.outcome = Outcome(Status.UNKNOWN, str(error))
        self.lost = not isinstance(error, Unsure)


def definite(error: Exception) -> bool:
    """Whether an answer closes its intent, of whatever kind; else nobody can say what became of it. Raises
    what is the tenant's fault."""
    if isinstance(error, Failed | Stale | Declined):
        return True
    if isinstance(error, LockstepError) and error.retriable:
        return False
    raise error


def rejected(error: LockstepError) -> Outcome:
    """What no request can make so, with what a person does next."""
    return Outcome(Status.REJECTED, f"{error}. {error.remedy}".rstrip(". "))


def number_of(key: Key) -> str:
    """The account number that a target key is."""
    return str(key_bytes.decode(key)[0])


def asked_of(change: Change) -> Asked:
    """A change to be worked. Raises DataError where its record is no account of that key."""
    number = number_of(change.key)
    if change.record is None:
        return Asked(change, number, None)
    account = account_of(change.record)
    if account.key != number:
        raise DataError(
            f"the record of key {number} is the account {account.key}",
            "Let the mapping's key be the account's: key=… of the mapping, or return ls.Keyed.",
        )
    told = as_noted(account)
    if told is None or fingerprint(change.key, canonical(told)) != change.meta.fingerprint:
        raise DataError(
            f"the record of account {number} has fields that an account does not have, lacks some, or has "
            "own fields of a type that cannot be noted",
            "Return a zuora.Account; own fields (__c) are texts, numbers (Decimals), booleans or None.",
        )
    return Asked(change, number, account)
