"""Random histories of the app's contracts, and what they come to at every date, told from the rows alone.

Most events are such that orders can follow them, whatever was ordered before: after the last resumption, none
during a pause without an end, none after a cancellation. Some are not, and end a contract's history until
`mended`: a change before the last resumption, and a cancellation that is taken back.
"""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.zuora import app

Told = list[tuple[str, str, str, int, float]]
"""As `app.segments` tells what a subscription costs."""

_HOURS = [dt.time(0), dt.time(2, 30), dt.time(23, 59, 59)]
"""The first instant of a day, one in the hours in which clocks change, the last."""

_EARLIER = {"take back": "was cancelled on", "too early": "it cannot be changed before"}
"""What cannot be ordered, if what it contradicts was ordered already; and what is said of it then."""


@dataclass
class History:
    """A contract. `floor`: the last resumption, or its start; `since`: of a pause without an end;
    `over`: by which event nothing happens any more."""

    customer: str
    contract: str
    start: dt.date
    floor: dt.date
    since: dt.date | None = None
    cancelled: dt.date | None = None
    over: str = ""

    @property
    def excuse(self) -> str | None:
        """What it may be stuck with."""
        return _EARLIER.get(self.over)


@dataclass
class Histories:
    """Of each customer the contracts, the newest last. Days are of `zone`."""

    db: sqlite3.Connection
    zone: str
    choose: random.Random
    of: dict[str, list[History]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        days = [app.TODAY, app.today_in(self.zone)]
        days += [dt.date(2026, *day) for day in ((1, 15), (2, 28), (6, 1), (4, 5), (9, 27), (3, 8), (11, 1))]
        self.days = sorted({*days, dt.date(2027, 2, 28)})
        """Before today, on it, after it; the last of February, twice; the days on which clocks change, of
        Auckland and of Los Angeles."""

    def begin(self, n: int) -> None:
        """A customer with a contract, on a plan, on a trial, or on none yet."""
        name = f"A-{n}"
        currency = self.choose.choice(["EUR", "USD"])
        self.db.execute("INSERT INTO customers VALUES (?, ?, ?, NULL)", (name, f"Customer {n}", currency))
        self._contract(name, dt.date(2026, 1, 1))

    def _contract(self, customer: str, start: dt.date) -> None:
        before = self.of.setdefault(customer, [])
        id = f"S{customer[1:]}" if not before else f"S{customer[1:]}-{len(before)}"
        before.append(History(customer, id, start, start))
        self.db.execute("INSERT INTO contracts VALUES (?, ?, ?, 24, NULL)", (id, customer, start.isoformat()))
        if self.choose.random() < 0.3:
            self.trial(before[-1], start)
        else:
            self.move(before[-1], start)

    def happens(self, customer: str) -> None:
        """One event more, where one is possible."""
        one = self.of[customer][-1]
        if one.cancelled is not None:
            kind = self.choose.choice(["reinstate", "reinstate", "take back"])
        elif one.since is not None:
            kind = self.choose.choice(["resume", "resume", "cancel"])
        else:
            weights = {"move": 10, "extra": 5, "pause": 4, "trial": 1, "cancel": 1, "too early": 1}
            (kind,) = self.choose.choices([*weights], [*weights.values()])
        if one.over in _EARLIER:
            return
        first = max(one.floor, one.since or one.floor)
        day = self.choose.choice([day for day in self.days if day >= first] or [first])
        match kind:
            case "move":
                self.move(one, day)
            case "extra":
                self.extra(one, day)
            case "trial":
                self.trial(one, day)
            case "pause":
                self.pause(one, day, self.choose.choice([*(d for d in self.days if d > day), None]))
            case "resume":
                self.resume(one, day)
            case "cancel":
                self.cancel(one, day)
            case "take back":
                self.take_back(one)
            case "reinstate":
                assert one.cancelled is not None
                self.reinstate(one, max(one.cancelled, day))
            case "too early":
                earlier = [each for each in self.days if one.start <= each < one.floor]
                if earlier:
                    self.too_early(one, self.choose.choice(earlier))

    def move(self, one: History, day: dt.date) -> None:
        """Another plan, other seats, another price, or none."""
        plan = self.choose.choice([*app.PLANS, *app.PLANS, None])
        self._agreed("moves", one, day, plan, self.choose.choice([9, 10.5, 12]), self.choose.randint(1, 9))
        self.kinds["move"] += 1

    def charged(self, one: History) -> None:
        """A plan that costs something, from the first day on that can be changed, and once more from the
        last."""
        for day in (one.floor, self.days[-1]):
            self._agreed("moves", one, day, "Pro", 12, 5, at=_HOURS[-1])

    def extra(self, one: History, day: dt.date) -> None:
        """Support beside the plan, at another price or for other seats, or no more."""
        plan = self.choose.choice(["Support", "Support", None])
        self._agreed("extras", one, day, plan, self.choose.choice([0, 2, 2.5]), self.choose.randint(1, 9))
        self.kinds["extra"] += 1

    def trial(self, one: History, day: dt.date) -> None:
        """A plan that costs nothing for a month, and then what it costs."""
        plan, seats = self.choose.choice(app.PLANS), self.choose.randint(1, 9)
        self._agreed("moves", one, day, plan, 0, seats)
        self._agreed("moves", one, day + dt.timedelta(30), plan, 12, seats)
        self.kinds["trial"] += 1

    def pause(self, one: History, since: dt.date, until: dt.date | None) -> None:
        row = (one.contract, since.isoformat(), until and until.isoformat())
        self.db.execute("INSERT INTO pauses (contract_id, since, until) VALUES (?, ?, ?)", row)
        if until is None:
            one.since = since
        else:
            one.floor = until
        self.kinds["pause"] += 1

    def resume(self, one: History, day: dt.date) -> None:
        """A pause that had no end gets one, a day later at least."""
        assert one.since is not None
        until = max(day, one.since + dt.timedelta(1))
        self.db.execute(
            "UPDATE pauses SET until = ? WHERE contract_id = ? AND until IS NULL",
            (until.isoformat(), one.contract),
        )
        one.since, one.floor = None, until
        self.kinds["resume"] += 1

    def cancel(self, one: History, day: dt.date) -> None:
        self._cancelled(one, day)
        one.over = "cancel"
        self.kinds["cancel"] += 1

    def take_back(self, one: History) -> None:
        """It was never cancelled. What is cancelled in Zuora already only a person can bring back."""
        self._cancelled(one, None)
        one.over = "take back"
        self.kinds["take back"] += 1

    def reinstate(self, one: History, start: dt.date) -> None:
        """The customer comes back: with a new contract, as what is cancelled cannot be changed."""
        self._contract(one.customer, start)
        self.kinds["reinstate"] += 1

    def too_early(self, one: History, day: dt.date) -> None:
        """A change of what was before the last resumption, which nothing can change any more."""
        self._agreed("moves", one, day, "Pro", 12, self.choose.randint(10, 19), at=_HOURS[-1])
        one.over = "too early"
        self.kinds["too early"] += 1

    def later(self, one: History) -> None:
        """The mend in the app of what was too early: it begins on the day of the resumption."""
        ((last,),) = self.db.execute("SELECT max(id) FROM moves WHERE contract_id = ?", (one.contract,))
        self.db.execute(
            "UPDATE moves SET day = ?, at = ? WHERE id = ?",
            (one.floor.isoformat(), self._at(one.floor), last),
        )

    def _cancelled(self, one: History, day: dt.date | None) -> None:
        one.cancelled = day
        said = day and day.isoformat()
        self.db.execute("UPDATE contracts SET cancelled = ? WHERE id = ?", (said, one.contract))

    def _agreed(
        self,
        table: str,
        one: History,
        day: dt.date,
        plan: str | None,
        price: float,
        seats: int,
        at: dt.time | None = None,
    ) -> None:
        """From an instant of that day on."""
        row = (one.contract, day.isoformat(), self._at(day, at), plan, price, seats)
        self.db.execute(
            f"INSERT INTO {table} (contract_id, day, at, plan, price, seats) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )

    def _at(self, day: dt.date, at: dt.time | None = None) -> str:
        local = dt.datetime.combine(day, at or self.choose.choice(_HOURS), ZoneInfo(self.zone))
        return local.astimezone(dt.UTC).isoformat()


def wanted(db: sqlite3.Connection, contract: str) -> Told:
    """What the app says: day by day, each asked of the rows; of one day the last instant wins."""
    ((start, cancelled),) = db.execute("SELECT start, cancelled FROM contracts WHERE id = ?", (contract,))
    last = f"{int(start[:4]) + 2}{start[4:]}"  # a term of 24 months
    end = min(cancelled or last, last)
    said = {
        table: db.execute(
            f"SELECT day, plan, seats, price FROM {table} WHERE contract_id = ? ORDER BY at, id", (contract,)
        ).fetchall()
        for table in ("moves", "extras")
    }
    pauses = db.execute("SELECT since, until FROM pauses WHERE contract_id = ?", (contract,)).fetchall()
    edges = {start, end, *(row[0] for rows in said.values() for row in rows)}
    edges |= {edge for pause in pauses for edge in pause if edge is not None}
    told: Told = []
    for rows in said.values():
        for day, after in pairwise(sorted(edge for edge in edges if start <= edge <= end)):
            paused = any(since <= day and (until is None or day < until) for since, until in pauses)
            now = next((row for row in reversed(rows) if row[0] <= day), None)
            if now is not None and now[1] is not None and not paused:
                told.append((now[1], day, after, now[2], float(now[3])))
    return joined(told)


def joined(rows: Iterable[tuple[str, str, str | None, int, float]]) -> Told:
    """By plan and date; neighbours that say the same are one."""
    made: Told = []
    for plan, start, end, seats, price in sorted(rows):
        assert end is not None
        if made and (made[-1][0], made[-1][2], *made[-1][3:]) == (plan, start, seats, price):
            made[-1] = (plan, made[-1][1], end, seats, price)
        else:
            made.append((plan, start, end, seats, float(price)))
    return made
