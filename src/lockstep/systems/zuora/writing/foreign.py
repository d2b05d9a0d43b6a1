"""A tenant's accounts as others have made them, while Lockstep takes them over. It sends nothing but reads.

An account is equal when nothing would have to be ordered for it to be as the mapping says. What makes it
Lockstep's is a note in the state store. Zuora has no transaction that could hold an account still between the
read and the note: what somebody edits in between is found by the next check.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from lockstep.errors import DataError
from lockstep.forms import keys as key_bytes
from lockstep.systems.zuora.accounts.catalogue import Catalogue, assert_sold, named_by
from lockstep.systems.zuora.accounts.reading import Several, Trees
from lockstep.systems.zuora.accounts.tree import FoundAccount, numbers
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.models import Account
from lockstep.systems.zuora.plans.account_plan import AccountPlan
from lockstep.systems.zuora.plans.likeness import Likeness
from lockstep.systems.zuora.records import record_of
from lockstep.systems.zuora.writing.asked import Asked, asked_of, number_of, rejected
from lockstep.systems.zuora.writing.noted import Noted
from lockstep.values import Change, Held, Identity, Key, Meta, Outcome, Record, Status

_APPLIED = Outcome(Status.APPLIED)
_OTHER = Outcome(Status.REJECTED, "the account is another one by now")
_OPEN = Outcome(Status.REJECTED, "an order of Lockstep's own for it is open: the next run closes it")


class ForeignAccounts:
    """A `ports.ByMeaning`. What it read last it keeps, to be compared: an account costs one call, its
    subscriptions, and a ninety-ninth of one, itself."""

    def __init__(
        self,
        client: Client,
        system: str,
        noted: Noted,
        several: Several,
        catalogue: Catalogue,
        likeness: Likeness,
    ) -> None:
        self._client, self._system = client, system
        self._noted, self._several = noted, several
        self._catalogue, self._likeness = catalogue, likeness
        self._trees: Trees = {}
        self._all: list[Key] = []

    def records(self) -> int | None:
        return len(self._list())

    def marker(self) -> str | None:
        return self._noted.marker()

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        self._trees = self._several.trees({key: number_of(key) for key in dict.fromkeys(keys)})
        metas = self._metas(list(self._trees))
        return {
            key: Held(key, {"key": number_of(key)}, metas.get(key)) for key in self._trees
        }  # what it holds is told against what it should: `compared`

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        """All accounts of the tenant, by number; what hangs on them is not read."""
        if after is None or not self._all:
            self._list()
        start = 0 if after is None else bisect_right(self._all, after)
        page = self._all[start : start + limit]
        metas = self._metas(page)
        return [Held(key, {"key": number_of(key)}, metas.get(key)) for key in page]

    def compared(self, change: Change, held: Held) -> tuple[Record, Record]:
        should, plan, tree = self._planned(change)
        expected = record_of(should)
        if plan.idle:
            return expected, expected
        return expected, self._likeness.holds(tree, should, _returned(should))

    def remark(self, change: Change, held: Held) -> str | None:
        """What was billed stays, and is no difference: but a person should know of it."""
        _, plan, _ = self._planned(change)
        told = [
            f"{number} {line} from {one.start} to {one.end}"
            for number, lines in plan.shifted.items()
            for line, changes in lines.items()
            for one in changes
        ]
        if not told:
            return None
        return f"billed otherwise than the mapping says, which stays: {', '.join(told[:5])}"

    def leave(self, marker: str) -> Identity:
        self._noted.leave(marker)
        return Identity(self._system, "accounts", marker)

    def own(self, changes: Sequence[Change]) -> list[Outcome]:
        open_ = self._noted.intents([change.key for change in changes])
        outcomes: list[Outcome] = []
        done = {}
        for change in changes:
            try:
                _, plan, _ = self._planned(change)
            except DataError as error:
                outcomes.append(rejected(error))
                continue
            outcome = _OPEN if change.key in open_ else _APPLIED if plan.idle else _OTHER
            outcomes.append(outcome)
            if outcome is _APPLIED:
                asked = asked_of(change)
                done[change.key] = asked.done
        self._noted.settle({}, done)
        return outcomes

    def pass_over(self, changes: Sequence[Change]) -> None:
        """What it should be, so that a check can say whether the account has become so, by meaning."""
        self._noted.wish({change.key: asked_of(change).done[1] for change in changes})

    def _planned(self, change: Change) -> tuple[Account, AccountPlan, FoundAccount]:
        """Raises DataError where the account, or what it should be, cannot be said."""
        if change.key not in self._trees:
            self.read([change.key])
        asked: Asked = asked_of(change)
        tree, should = self._trees.get(change.key), asked.account
        if isinstance(tree, DataError):
            raise tree
        if tree is None or should is None:
            raise DataError(f"account {asked.number} is not there any more", "Ask again: `lockstep adopt`.")
        assert_sold(should, self._catalogue.plans(named_by([should])))
        return should, self._likeness.plan(tree, should, _returned(should)), tree

    def _list(self) -> list[Key]:
        self._all = sorted(key_bytes.encode((number,)) for number in numbers(self._client))
        return self._all

    def _metas(self, some: Sequence[Key]) -> dict[Key, Meta]:
        known = self._noted.known(some)
        return {key: one.meta for key, one in known.items() if one.own and not one.buried}


def _returned(account: Account) -> tuple[str, ...]:
    """The subscriptions that Lockstep may change, and end later: those that the mapping returns."""
    return tuple(one.key for one in account.subscriptions)
