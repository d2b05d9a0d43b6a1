"""Writes accounts: one order for each account and change set.

A batch goes in steps, so that what is durable costs one commit for all of its accounts: requests whose fate
is open are closed first; then the trees are read, several at once; then each account is planned; then the
intents are noted; only then anything is sent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lockstep.errors import DataError, Refused, TargetReplaced, Unreachable
from lockstep.ports import Features
from lockstep.ports.notes import Notes
from lockstep.ports.steps import Steps
from lockstep.systems.zuora.accounts.catalogue import Catalogue
from lockstep.systems.zuora.accounts.reading import Several
from lockstep.systems.zuora.accounts.tree import accounts, numbers
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.plans.actions import DateRules
from lockstep.systems.zuora.plans.drift import Drift
from lockstep.systems.zuora.plans.likeness import Likeness
from lockstep.systems.zuora.writing.asked import Asked, asked_of, number_of, rejected
from lockstep.systems.zuora.writing.delivery import PATIENCE, deliver
from lockstep.systems.zuora.writing.foreign import ForeignAccounts
from lockstep.systems.zuora.writing.moving import Moves
from lockstep.systems.zuora.writing.noted import Intent, Noted
from lockstep.systems.zuora.writing.planning import Planning
from lockstep.systems.zuora.writing.sending import Sending
from lockstep.systems.zuora.writing.turns import turns_of
from lockstep.values import (
    Change,
    Contents,
    Estimate,
    Held,
    Identity,
    Key,
    Listed,
    Meta,
    Outcome,
    Status,
    Version,
)

T = TypeVar("T")

_PORTION = 40
"""Accounts of one write. The ledger learns of a write as a whole: a larger one, at the pace that tenants
allow, takes longer than a run lives that is killed every few seconds, and it would get nowhere."""

_ROUNDS = 60
"""Requests of one change in one batch, repetitions among them; more come with the next batch."""


class ZuoraWriter:
    """The Writer of all accounts of a tenant that a mapping returns."""

    features = Features(versions=True, normalises=False, portion=_PORTION)

    def __init__(
        self,
        client: Client,
        system: str,
        notes: Notes,
        rules: DateRules,
        today: Callable[[], dt.date],
        *,
        rewrite_billed: bool,
        drift: Drift,
        transfers_within: dt.timedelta | None,
    ) -> None:
        self._client, self._system = client, system
        self._noted = Noted(notes)
        self._patience = PATIENCE
        self._likeness = Likeness(today, rules, rewrite_billed, drift)
        self._catalogue = Catalogue(client)
        self._several = Several(client)
        self._planning = Planning(
            client, self._noted, self._several, self._catalogue, self._likeness, transfers_within
        )
        self._counted = 0

    # which target this is, and what it holds

    def identity(self) -> Identity | None:
        marker = self._noted.marker()
        return None if marker is None else Identity(self._system, "accounts", marker)

    def create(self, marker: str) -> Identity:
        """Makes nothing in the tenant: looks whether it can be used, and notes the marker."""
        if self._noted.marker() is not None:
            raise Refused(
                f"this state store writes the accounts of {self._system} already",
                "One mapping's target is made once.",
            )
        self._catalogue.plans(set())
        self._noted.leave(marker)
        return Identity(self._system, "accounts", marker)

    def contents(self) -> Contents:
        """How many of the accounts that were written are there: a call for each 2,000 of the tenant's."""
        self._assert_there()
        known = list(self._noted.all_known())
        highest = max((one.version for _, one in known), default=0)
        live = {number_of(key) for key, one in known if one.own and not one.buried}
        self._counted = len(live & set(numbers(self._client))) if live else 0
        return Contents(self._counted, Version(highest))

    def estimate(self) -> Estimate | None:
        return Estimate(self._counted, 0)  # what others remove only a count can find

    def _assert_there(self) -> None:
        if self._noted.marker() is None:
            raise TargetReplaced(
                f"the state store has no note of ever having written the accounts of {self._system}",
                "`lockstep run` begins anew; `lockstep adopt` takes over what is there.",
            )

    # reading

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        self._assert_there()
        known = self._noted.known(keys)
        wanted = [key for key in dict.fromkeys(keys) if not (key in known and known[key].buried)]
        sent = self._noted.records(wanted)
        found = self._several.trees({key: number_of(key) for key in wanted})
        held: dict[Key, Held] = {}
        for key, tree in found.items():
            one = known.get(key)
            meta = one.meta if one is not None and one.own else None
            if isinstance(tree, DataError):
                held[key] = Held(key, {"key": number_of(key), "unreadable": str(tree)}, meta)
                continue
            ours = one.ours if one is not None else ()
            held[key] = Held(key, self._likeness.holds(tree, sent.get(key), ours), meta)
        return held

    def foreign(self) -> ForeignAccounts:
        """The tenant's accounts as others have left them."""
        return ForeignAccounts(
            self._client, self._system, self._noted, self._several, self._catalogue, self._likeness
        )

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        """Of the accounts that were written: a tenant's others are nobody's business."""
        return self._paged(after, limit, self._in_order)

    def listed(self, after: Key | None, limit: int) -> list[Listed]:
        """Likewise; that an account is there is asked of many in one call."""
        return self._paged(after, limit, self._there)

    def _paged(self, after: Key | None, limit: int, find: Callable[[Mapping[Key, Meta]], list[T]]) -> list[T]:
        self._assert_there()
        page: list[T] = []
        some: dict[Key, Meta] = {}
        for key, one in self._noted.all_known(after):
            if one.own and not one.buried:
                some[key] = one.meta
            if len(page) + len(some) >= limit:
                page += find(some)
                some = {}
                if len(page) >= limit:
                    return page
        return page + find(some)

    def _in_order(self, some: Mapping[Key, Meta]) -> list[Held]:
        held = self.read(list(some)) if some else {}
        return [held[key] for key in some if key in held]

    def _there(self, some: Mapping[Key, Meta]) -> list[Listed]:
        there = accounts(self._client, [number_of(key) for key in some])
        return [Listed(key, meta) for key, meta in some.items() if number_of(key) in there]

    # writing

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        self._assert_there()
        last = {change.key: place for place, change in enumerate(changes)}
        superseded = Outcome(Status.SUPERSEDED, "a later change of this key is in the same batch")
        outcomes = [superseded] * len(changes)
        asked: dict[Key, Asked] = {}
        for key, place in last.items():
            try:
                asked[key] = asked_of(changes[place])
            except DataError as error:
                outcomes[place] = rejected(error)
        moves = self._planning.moves(asked)
        sending = Sending(self._noted, self._several, self._delivered, asked, moves, turns_of(self._system))
        sending.close(asked)
        self._planning.know(asked)
        moves.claim()
        self._rounds(asked, sending, moves)
        for one in asked.values():
            if one.waits.keys() & moves.moved:  # what it waited for has been done in this batch
                one.outcome, one.waits = None, {}
        self._rounds(asked, sending, moves)
        for key, one in asked.items():
            outcomes[last[key]] = one.told
        if asked and all(one.unasked for one in asked.values()):
            raise Unreachable(str(outcomes[0].reason), "See the network, and the URL of the tenant.")
        return outcomes

    def _rounds(self, asked: Mapping[Key, Asked], sending: Sending, moves: Moves) -> None:
        for _ in range(_ROUNDS):
            left = {key: one for key, one in asked.items() if one.outcome is None}
            if not left:
                break
            self._planning.plan([one for one in left.values() if not one.requests], moves)
            sending.settle()
            moves.flush()
            sending.send({key: one for key, one in left.items() if one.outcome is None})
        moves.flush()

    def steps(self, changes: Sequence[Change]) -> dict[Key, Steps]:
        """What writing these accounts would do. Sends nothing but reads."""
        return self._planning.steps(changes)

    def preview(self, changes: Sequence[Change]) -> dict[Key, tuple[str, ...]]:
        """What the next invoices would be: a call for each order. Sends nothing that stays."""
        return self._planning.preview(changes)

    def _delivered(self, intent: Intent) -> Exception | None:
        try:
            deliver(self._client, intent, patience=self._patience)
        except Exception as error:
            return error
        return None

    def close(self) -> None:
        self._several.close()
        self._client.close()
