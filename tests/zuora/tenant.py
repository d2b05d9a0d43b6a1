"""What order actions do to segments, as plain rows: a model that shares nothing with the planner."""

from __future__ import annotations

import datetime as dt
from typing import Any

from lockstep.effective import Span
from lockstep.systems.zuora.accounts.found import FoundPlan, FoundSubscription
from lockstep.systems.zuora.models import plus_months
from lockstep.systems.zuora.plans.actions import (
    Action,
    AddProduct,
    CancelSubscription,
    ChangePlan,
    CreateSubscription,
    OwnerTransfer,
    RemoveProduct,
    RenewSubscription,
    Resume,
    Subscribed,
    Suspend,
    TermsAndConditions,
    UpdateProduct,
)

FOREVER = dt.date.max


def first(row: list[Any]) -> Any:
    return row[0]


class Line:
    """A rate plan: [start, end, rate] rows of each charge; an open end is FOREVER."""

    def __init__(self, plan: str, rows: dict[str, list[list[Any]]], with_term: bool) -> None:
        self.plan, self.rows, self.with_term = plan, rows, with_term
        self.billed: dt.date | None = None
        self.held: dict[str, list[list[Any]]] = {}

    def shorten(self, at: dt.date) -> None:
        for rows in self.rows.values():
            for row in rows:
                row[1] = max(row[0], min(row[1], at))


class Tenant:
    """One subscription. `split`: a renewal begins a new segment. Refuses what Zuora would."""

    def __init__(self, split: bool = False) -> None:
        self.split = split
        self.lines: dict[str, Line] = {}
        self.number = ""
        self.suspended: dt.date | None = None
        self.resumed = dt.date.min

    def order(self, actions: tuple[Action, ...]) -> None:
        self.names: dict[str, str] = {}
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        assert not self.number or self.cancelled is None, "it is cancelled"
        at = action.date
        assert self.suspended is None or isinstance(action, Resume), "it is suspended"
        if isinstance(action, AddProduct | UpdateProduct | RemoveProduct | ChangePlan | Suspend):
            assert at >= self.resumed, "it was resumed later"
        match action:
            case CreateSubscription():
                assert not self.number
                self.number, self.account, self.start = action.number, action.account, at
                self.end = FOREVER if action.months is None else plus_months(at, action.months)
                self.renews, self.renewal = action.renews, action.renewal_months
                self.cancelled: dt.date | None = None
                for one in action.plans:
                    self._add(one)
            case AddProduct():
                self._add(action.added)
            case UpdateProduct():
                line = self.lines[self.names.get(action.line, action.line)]
                assert action.rates
                for name, rate in action.rates.items():
                    self._update(line.rows[name], at, rate, action.before_later)
            case RemoveProduct():
                self._remove(action.line, at)
            case ChangePlan():
                self._remove(action.line, at)
                assert action.added.start == at
                self._add(action.added)
            case RenewSubscription():
                assert at == self.end
                assert self.renewal
                self._end_at(plus_months(self.end, self.renewal), self.split)
            case TermsAndConditions():
                self.renews, self.renewal = action.renews, action.renewal_months
                self._end_at(action.end or FOREVER, False)
            case CancelSubscription():
                assert self.start <= at <= self.end
                self.cancelled = at
                for line in self.lines.values():
                    line.shorten(at)
            case Suspend():
                assert self.start <= at < self.end
                self.suspended = at
                for line in self.lines.values():
                    line.held = {
                        name: [[max(row[0], at), *row[1:]] for row in rows if row[0] < row[1] > at]
                        for name, rows in line.rows.items()
                    }
                    line.shorten(at)
            case Resume():
                assert self.suspended is not None
                assert self.suspended <= at < self.end
                for line in self.lines.values():
                    for name, rows in line.held.items():
                        line.rows[name] += [[max(row[0], at), *row[1:]] for row in rows if row[1] > at]
                    line.held = {}
                self.suspended, self.resumed = None, at
            case OwnerTransfer():
                self.account = action.account
            case _:
                raise AssertionError(action)

    def _add(self, one: Subscribed) -> None:
        name = f"SRP-{len(self.lines)}"
        self.names[one.line] = name
        assert self.start <= one.start < (one.end or FOREVER) <= FOREVER
        assert one.start < self.end
        assert one.end is None or one.end < self.end
        rows = {charge: [[one.start, one.end or self.end, rate]] for charge, rate in one.rates.items()}
        self.lines[name] = Line(one.plan, rows, one.end is None)

    def _update(self, rows: list[list[Any]], at: dt.date, rate: Any, before_later: bool) -> None:
        (old,) = [row for row in rows if row[0] <= at < row[1]]
        later = any(at < row[0] < row[1] for row in rows)
        assert before_later or not later
        assert old[2] != rate, "an update that changes nothing"
        rows.append([at, old[1], rate])
        old[1] = at

    def _remove(self, name: str, at: dt.date) -> None:
        line = self.lines[self.names.get(name, name)]
        assert any(row[0] <= at < row[1] for rows in line.rows.values() for row in rows)
        line.with_term = False
        line.shorten(at)

    def _end_at(self, end: dt.date, split: bool) -> None:
        old, self.end = self.end, end
        for line in self.lines.values():
            if end < old:
                line.shorten(end)
            elif line.with_term:
                for rows in line.rows.values():
                    # a row that the old term left no day comes back, as long as nothing removed it
                    some = [row for row in rows if row[0] < row[1]] or rows
                    for row in [row for row in some if row[1] == old]:
                        if split:
                            rows.append([old, end, row[2]])
                        else:
                            row[1] = end

    def bill(self, to: dt.date) -> None:
        for line in self.lines.values():
            ends = [row[1] for rows in line.rows.values() for row in rows if row[0] < row[1]]
            begins = [row[0] for rows in line.rows.values() for row in rows if row[0] < row[1]]
            if ends and min(begins) < to:
                line.billed = max(line.billed or dt.date.min, min(to, max(ends)))

    def history(self) -> dict[str, dt.date]:
        """By plan, the first day that is not billed. Days that are no longer in force are credited."""
        history: dict[str, dt.date] = {}
        for line in self.lines.values():
            ends = [row[1] for rows in line.rows.values() for row in rows if row[0] < row[1]]
            if line.billed and ends:
                history[line.plan] = max(history.get(line.plan, dt.date.min), min(line.billed, max(ends)))
        return history

    def costs(self, day: dt.date) -> dict[str, dict[str, Any]]:
        """By plan and charge, what is in force on a day. Never a plan twice."""
        costs: dict[str, dict[str, Any]] = {}
        for line in self.lines.values():
            now = {n: row[2] for n, rows in line.rows.items() for row in rows if row[0] <= day < row[1]}
            if now:
                assert line.plan not in costs
                costs[line.plan] = now
        return costs

    def found(self) -> FoundSubscription | None:
        if not self.number:
            return None
        plans = [
            FoundPlan(
                line=name,
                plan=line.plan,
                charges={
                    charge: tuple(
                        Span(start, None if end == FOREVER else end, rate)
                        for start, end, rate in sorted(rows, key=first)
                        if start < end
                    )
                    for charge, rows in line.rows.items()
                },
                billed_to=line.billed,
                with_term=line.with_term,
                held={
                    name: tuple(
                        Span(a, None if b == FOREVER else b, rate) for a, b, rate in sorted(rows, key=first)
                    )
                    for name, rows in line.held.items()
                },
            )
            for name, line in self.lines.items()
        ]
        return FoundSubscription(
            number=self.number,
            account=self.account,
            start=self.start,
            end=None if self.end == FOREVER else self.end,
            renews=self.renews,
            renewal_months=self.renewal,
            cancelled=self.cancelled,
            suspended=self.suspended,
            resumed=None if self.resumed == dt.date.min else self.resumed,
            plans=tuple(plans),
        )
