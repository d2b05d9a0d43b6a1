"""Plans the changes of a batch: of what is noted of each account and what is there, the requests to send."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from lockstep.errors import DataError
from lockstep.ports.steps import Steps
from lockstep.systems.zuora.accounts.catalogue import Catalogue, assert_sold, named_by
from lockstep.systems.zuora.accounts.reading import Several, Trees
from lockstep.systems.zuora.accounts.stamps import stamp_of_subscription
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.failures import Declined
from lockstep.systems.zuora.plans.account_plan import AccountPlan, removal
from lockstep.systems.zuora.plans.likeness import Likeness
from lockstep.systems.zuora.writing.asked import Asked, rejected
from lockstep.systems.zuora.writing.moving import Moves
from lockstep.systems.zuora.writing.noted import Noted
from lockstep.systems.zuora.writing.preview import previewed
from lockstep.systems.zuora.writing.requests import requests_of
from lockstep.systems.zuora.writing.steps import told_of, wishes
from lockstep.values import Change, Key, Outcome, Status


class Planning:
    """Sends nothing but reads."""

    def __init__(
        self,
        client: Client,
        noted: Noted,
        several: Several,
        catalogue: Catalogue,
        likeness: Likeness,
        transfers_within: dt.timedelta | None,
    ) -> None:
        self._within = transfers_within
        self._client, self._noted, self._several = client, noted, several
        self._catalogue, self._likeness = catalogue, likeness
        self._rules, self._drift = likeness.rules, likeness.drift

    def know(self, asked: Mapping[Key, Asked]) -> None:
        """What is noted of each account."""
        known = self._noted.known(list(asked))
        sent = self._noted.records(list(known))
        for key, one in asked.items():
            one.known, one.before = known.get(key), sent.get(key)
            if one.outcome is None and one.known is not None and one.known.version > one.change.meta.version:
                one.outcome = Outcome(Status.SUPERSEDED, "a newer version of it was written")

    def plan(self, some: Sequence[Asked], moves: Moves, *, always: bool = False) -> None:
        """Reads each account and plans it: the requests, or an outcome where there are none. `always`: what
        it has not may be on another account, even where nothing says so."""
        if not some:
            return
        today = self._likeness.today()
        found = self._found(some)
        wanted = named_by(one.account for one in some if one.account is not None)
        catalogue = self._catalogue.plans(wanted)
        moves.find(self._missing(some, found, moves, always=always))
        for one in some:
            tree = found.get(one.change.key)
            try:
                if isinstance(tree, DataError):
                    raise tree
                if one.account is not None:
                    assert_sold(one.account, catalogue)
                plan = self._planned(one, tree, today, moves)
                if one.refused is not None and one.missing and not plan.moves:
                    raise one.refused
                made = requests_of(one.number, plan, today=today, rules=self._rules, catalogue=catalogue)
            except (DataError, Declined) as error:
                one.outcome = rejected(error)
                continue
            one.requests, one.whole = made.some, made.whole and not plan.waits
            one.waits = plan.waits
            if one.requests:
                continue
            if one.waits:
                one.outcome = one.waiting
            else:
                one.outcome = Outcome(Status.APPLIED if one.wrote else Status.UNCHANGED)

    def _missing(
        self, some: Iterable[Asked], found: Trees, moves: Moves, *, always: bool = False
    ) -> list[str]:
        """What is to be looked for on other accounts."""
        trees = ((one, found.get(one.change.key)) for one in some)
        missing = (
            moves.look(one, tree, always=always) for one, tree in trees if not isinstance(tree, DataError)
        )
        return list(dict.fromkeys(number for numbers in missing for number in numbers))

    def _planned(self, one: Asked, tree: FoundAccount | None, today: dt.date, moves: Moves) -> AccountPlan:
        plan = self._wanted(one, tree, today, moves)
        ended = [each.number for each in plan.subscriptions if each.number not in one.returned]
        waits = moves.kept(one, ended)
        left = tuple(each for each in plan.subscriptions if each.number not in waits)
        return replace(plan, subscriptions=left, waits=waits)

    def _wanted(self, one: Asked, tree: FoundAccount | None, today: dt.date, moves: Moves) -> AccountPlan:
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
            return self._likeness.plan(tree, one.account, one.ours, moves.coming(one, tree))
        ended = () if tree is None else removal(tree, one.ours, today=today, rules=self._rules)
        return AccountPlan(False, {}, ended, {})

    def moves(self, asked: Mapping[Key, Asked]) -> Moves:
        """What is known of subscriptions that go from one account to another."""
        return Moves(self._client, self._noted, self._several, self._within, asked)

    def steps(self, changes: Sequence[Change]) -> dict[Key, Steps]:
        """What writing these accounts would do."""
        asked, told = wishes(changes)
        self.know(asked)
        found, today = self._found(list(asked.values())), self._likeness.today()
        moves = self.moves(asked)
        moves.claim()
        moves.find(self._missing(asked.values(), found, moves, always=True))
        for key, one in asked.items():
            plan: Callable[[FoundAccount | None], AccountPlan] = partial(
                self._planned, one, today=today, moves=moves
            )
            told[key] = told_of(
                found.get(key), one.account, plan, today, self._rules, self._likeness.rewrite_billed
            )
        return told

    def preview(self, changes: Sequence[Change]) -> dict[Key, tuple[str, ...]]:
        """What the next invoices would be: a call for each order. Nothing of it stays."""
        asked, steps = wishes(changes)
        said: dict[Key, tuple[str, ...]] = {
            key: (one.problem,) for key, one in steps.items() if one.problem is not None
        }
        self.know(asked)
        moves = self.moves(asked)
        moves.claim()
        self.plan(list(asked.values()), moves, always=True)
        for key, one in asked.items():
            moved = [each for request in one.requests for each in request.moves]
            if one.outcome is None and moved:
                said[key] = tuple(
                    f"{each.subscription} comes from account {each.account}: what it bills then is not "
                    "previewed"
                    for each in moved
                )
            elif one.outcome is None:
                said[key] = previewed(self._client, one.requests, one.currency, self._likeness.today())
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
