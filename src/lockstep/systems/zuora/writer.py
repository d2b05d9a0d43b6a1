"""Writes accounts: one order for each account and change set.

A batch goes in steps, so that what is durable costs one commit for all of its accounts: requests whose fate
is open are closed first; then the trees are read, several at once; then each account is planned; then the
intents are noted; only then anything is sent.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from lockstep.errors import DataError, Refused, TargetReplaced, Unreachable
from lockstep.notes import Notes
from lockstep.ports import Features
from lockstep.steps import Steps
from lockstep.systems.zuora.account_plan import AccountPlan, removal
from lockstep.systems.zuora.actions import DateRules
from lockstep.systems.zuora.asked import Asked, asked_of, number_of, rejected
from lockstep.systems.zuora.catalogue import Catalogue, assert_sold, named_by
from lockstep.systems.zuora.client import Client
from lockstep.systems.zuora.delivery import PATIENCE, deliver
from lockstep.systems.zuora.drift import Drift
from lockstep.systems.zuora.foreign import ForeignAccounts
from lockstep.systems.zuora.likeness import Likeness
from lockstep.systems.zuora.noted import Intent, Known, Noted
from lockstep.systems.zuora.preview import previewed
from lockstep.systems.zuora.reading import Several, Trees
from lockstep.systems.zuora.requests import requests_of
from lockstep.systems.zuora.stamps import stamp_of_subscription
from lockstep.systems.zuora.steps import told_of, wishes
from lockstep.systems.zuora.tree import FoundAccount, accounts, numbers
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
        rewrite_billed: bool = False,
        drift: Drift = Drift({}),  # noqa: B008 - never changed
        patience: float = PATIENCE,
    ) -> None:
        self._client, self._system = client, system
        self._noted = Noted(notes)
        self._rules, self._today = rules, today
        self._rewrite_billed, self._patience = rewrite_billed, patience
        self._drift = drift
        self._likeness = Likeness(today, rules, rewrite_billed, drift)
        self._catalogue = Catalogue(client)
        self._several = Several(client)
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
        self._close(asked)
        self._know(asked)
        for _ in range(_ROUNDS):
            left = {key: one for key, one in asked.items() if one.outcome is None}
            if not left:
                break
            self._plan([one for one in left.values() if not one.requests])
            self._settle([], left.values())
            self._send({key: one for key, one in left.items() if one.outcome is None})
        for key, one in asked.items():
            outcomes[last[key]] = one.outcome or Outcome(Status.UNKNOWN, "it was not done after many orders")
        if asked and all(one.unasked for one in asked.values()):
            raise Unreachable(str(outcomes[0].reason), "See the network, and the URL of the tenant.")
        return outcomes

    def _close(self, asked: Mapping[Key, Asked]) -> None:
        """Requests of earlier batches, or of another process, whose fate is open: nothing new is planned for
        an account before there is an answer."""
        open_ = self._noted.intents(list(asked))
        if not open_:
            return
        answers = self._several.each(self._delivered, list(open_.values()))
        closed: list[Key] = []
        done: dict[Key, tuple[Known, bytes | None]] = {}
        for (key, intent), error in zip(open_.items(), answers, strict=True):
            if error is not None and not asked[key].ended(error):
                continue
            closed.append(key)
            if error is None and intent.last:
                done[key] = (intent.known, intent.account)
        self._noted.settle(closed, done)

    def _know(self, asked: Mapping[Key, Asked]) -> None:
        known = self._noted.known(list(asked))
        sent = self._noted.records(list(known))
        for key, one in asked.items():
            one.known, one.before = known.get(key), sent.get(key)
            if one.outcome is None and one.known is not None and one.known.version > one.change.meta.version:
                one.outcome = Outcome(Status.SUPERSEDED, "a newer version of it was written")

    def _plan(self, some: Sequence[Asked]) -> None:
        """Reads each account and plans it: the requests, or an outcome where there are none."""
        if not some:
            return
        today = self._today()
        found = self._found(some)
        wanted = named_by(one.account for one in some if one.account is not None)
        catalogue = self._catalogue.plans(wanted)
        for one in some:
            tree = found.get(one.change.key)
            try:
                if isinstance(tree, DataError):
                    raise tree
                if one.account is not None:
                    assert_sold(one.account, catalogue)
                plan = self._planned(one, tree, today)
                made = requests_of(one.number, plan, today=today, rules=self._rules, catalogue=catalogue)
            except DataError as error:
                one.outcome = rejected(error)
                continue
            one.requests, one.whole = made
            if not one.requests:
                one.outcome = Outcome(Status.APPLIED if one.wrote else Status.UNCHANGED)

    def _planned(self, one: Asked, tree: FoundAccount | None, today: dt.date) -> AccountPlan:
        if one.account is not None:
            if not one.wrote:
                self._drift.assert_none_held(
                    tree,
                    one.before,
                    one.account,
                    today=today,
                    rules=self._rules,
                    stamp=partial(stamp_of_subscription, self._client),
                )
            if tree is not None:
                tree = self._drift.without(tree, one.before, one.account, ("accept", "report"))
            return self._likeness.plan(tree, one.account, one.ours)
        ended = () if tree is None else removal(tree, one.ours, today=today, rules=self._rules)
        return AccountPlan(False, {}, ended, {})

    def steps(self, changes: Sequence[Change]) -> dict[Key, Steps]:
        """What writing these accounts would do. Sends nothing but reads."""
        asked, told = wishes(changes)
        self._know(asked)
        found, today = self._found(list(asked.values())), self._today()
        for key, one in asked.items():
            plan = partial(self._planned, one, today=today)
            told[key] = told_of(found.get(key), one.account, plan, today, self._rules, self._rewrite_billed)
        return told

    def preview(self, changes: Sequence[Change]) -> dict[Key, tuple[str, ...]]:
        """What the next invoices would be: a call for each order. Sends nothing that stays."""
        asked, steps = wishes(changes)
        said: dict[Key, tuple[str, ...]] = {
            key: (one.problem,) for key, one in steps.items() if one.problem is not None
        }
        self._know(asked)
        self._plan(list(asked.values()))
        for key, one in asked.items():
            if one.outcome is None:
                said[key] = previewed(self._client, one.requests, one.currency, self._today())
            elif one.outcome.reason is not None:
                said[key] = (one.outcome.reason,)
        return said

    def _found(self, some: Sequence[Asked]) -> Trees:
        """What is there of each. Where only subscriptions change, the account itself need not be read."""
        wanted: dict[Key, str] = {}
        spared: dict[Key, FoundAccount] = {}
        for one in some:
            likely = None if self._drift.holds else one.likely
            if likely is None:
                wanted[one.change.key] = one.number
            else:
                spared[one.change.key] = likely
        return self._several.trees(wanted) | self._several.whole(spared)

    def _send(self, some: Mapping[Key, Asked]) -> None:
        """The next request of each: noted, then sent."""
        if not some:
            return
        made = {key: one.intend() for key, one in some.items()}
        self._noted.intend(
            {key: intent for key, (intent, _) in made.items()},
            {key: known for key, (_, known) in made.items()},
        )
        answers = self._several.each(self._delivered, [intent for intent, _ in made.values()])
        closed = [key for (key, one), error in zip(some.items(), answers, strict=True) if one.answered(error)]
        self._settle(closed, some.values())
        if any(one.tries for one in some.values() if one.outcome is None):
            time.sleep(0.2)  # what holds an account's lock is another order, at work for a moment

    def _settle(self, closed: Sequence[Key], some: Iterable[Asked]) -> None:
        done = (Status.APPLIED, Status.UNCHANGED)
        self._noted.settle(
            closed,
            {
                one.change.key: one.done
                for one in some
                if one.outcome is not None and one.outcome.status in done
            },
        )

    def _delivered(self, intent: Intent) -> Exception | None:
        try:
            deliver(self._client, intent, patience=self._patience)
        except Exception as error:
            return error
        return None

    def close(self) -> None:
        self._several.close()
        self._client.close()
