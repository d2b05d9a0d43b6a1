"""The product and its billing in lockstep, told on a stand-in of Zuora. `make demo-billing` runs it.

    python story.py [--customers 40] [--json]

Every figure was measured in this run. It ends with 1 where the two sides did not agree at the end.
"""

# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import app
from world import World, world

import lockstep as ls

RISEN = {"TEAM": "13.50", "PRO": "26.90"}

NEXT = """
Both sides agreed wherever they should. Next:
   examples/billing/pipeline.py   all that a user writes for this: start there
   docs/zuora.md                  what a mapping may say, what a run does with it, what it costs
   lockstep twin zuora            the stand-in by itself, to try your own pipeline on
   make demo                      the same for a database and a search index
Nothing here was ever tried on a real tenant: begin with a sandbox, `lockstep check` and `lockstep plan`."""


class Story:
    """One run of it, in the directory where the process is."""

    def __init__(self, world: World, customers: int) -> None:
        self._world = world
        self._customers = customers
        self._today = dt.datetime.now(dt.UTC).date()
        # A bill run bills a month ahead: the first day of a month that it leaves to be changed for everybody.
        self._rise = (self._today + dt.timedelta(days=62)).replace(day=1)
        self.figures: dict[str, Any] = {"customers": customers}

    def tell(self) -> bool:
        """Whether both sides agreed at each point where they should."""
        agreed = [self._first(), self._billed(), self._risen(), self._edited(), self._revenue()]
        return all(agreed)

    def _first(self) -> bool:
        print(f"\n1  The app knows {self._customers} customers, and since when each is on which plan.")
        print("   Zuora is empty. One pure function says what a customer means there (pipeline.py).")
        orders, calls = self._run()
        print(f"   {orders} orders, one an account, in {calls} calls.")
        self.figures |= {"first_orders": orders, "first_calls": calls}
        orders, _ = self._run()
        print(f"   A second run writes {orders or 'nothing'}.")
        self.figures["second_orders"] = orders
        return self._check() and not orders

    def _billed(self) -> bool:
        print("\n2  A bill run: from here on history is history.")
        self._world.person.bill(self._today)
        return self._check()

    def _risen(self) -> bool:
        half = self._customers // 2
        print(f"\n3  From {self._rise} on, half of the customers pay more for a seat.")
        with contextlib.closing(app.connect(Path("app.db"))) as connection:
            for number in range(1, half + 1):
                plan, seats = app.latest(connection, number)
                app.change(connection, number, self._rise, plan, seats, RISEN[plan])
        print("   The app says so already, and Zuora does not yet. `lockstep verify` names what is to come:")
        self.figures["revenue_before_the_rise"] = self._differing()
        orders, calls = self._run()
        print(f"   Then it runs: {orders} orders for {half} accounts, in {calls} calls; segments are cut,")
        print("   none is made anew.")
        self.figures |= {"risen": half, "risen_orders": orders, "risen_calls": calls}
        return self._check() and orders == half

    def _edited(self) -> bool:
        number = self._customers
        print(f"\n4  Somebody gives C-{number} 99 seats, in Zuora's own UI.")
        self._world.person.edit(f"C-{number}", f"S-{number}", self._today + dt.timedelta(days=1), seats=99)
        (report,) = self._world.pipeline.verify("account", method="deep")
        print("   `lockstep verify --deep` finds it, and what it costs, if nobody mends it:")
        for one in report.divergences:
            for field in one.fields if one.kind == "different" else ():
                print(f"   {one.target_key} {field.path}:")
                print(f"     {field.expected} by the app, {field.actual} in Zuora")
        self.figures["found"] = report.counts
        self.figures["revenue_after_the_edit"] = self._differing()
        found = report.counts == {"different": 1, "invariant": 1}
        ls.repair(self._world.pipeline, "account")
        orders, _ = self._run()
        print(f"   `lockstep repair`: {orders} order makes it as the app says.")
        return self._check() and found

    def _revenue(self) -> bool:
        print("\n5  What comes in a month, by Zuora's own figures and by the product's rows, at every date:")
        target = ls.Zuora.from_env().accounts()
        found = target.amounts([target.key([f"C-{number}"]) for number in range(1, self._customers + 1)])
        income = [held for held in found.values() if not isinstance(held, ls.DataError)]
        dates = len({(at, *held) for held in income for one in held.values() for at in one.edges()})
        for currency in sorted({name for held in income for name in held}):
            now, then = (
                sum(held[currency].at(day) or 0 for held in income if currency in held)
                for day in (self._today, self._rise)
            )
            print(f"   {currency} {now:>10,.2f} today, {then:>10,.2f} from {self._rise} on")
        differing = self._differing()
        verdict = f"NOT the same for {', '.join(differing)}" if differing else "The same"
        print(f"   {verdict} on both sides, at {dates} dates on which it changes: `lockstep verify` says so.")
        self.figures["revenue_dates"] = dates
        return not differing and len(income) == self._customers

    def _differing(self) -> list[str]:
        """Which accounts bring in another amount in Zuora than by the app."""
        (report,) = self._world.pipeline.verify("account")
        found = [one for one in report.divergences if one.kind == "invariant"]
        for one in found[:3]:
            for each in one.fields:
                print(f"   {one.key}:")
                print(f"     {each.expected:,.2f} by the app, {each.actual:,.2f} in Zuora")
        if found[3:]:
            print(f"   and {len(found) - 3} more, likewise")
        return sorted({str(one.key).split()[1] for one in found})

    def _run(self) -> tuple[int, int]:
        """Keeps up once; how many orders that were, and how many calls in all."""
        made = self._world.calls(lambda: ls.run(self._world.pipeline, once=True))
        return made["POST /v1/orders"], made.total()

    def _check(self) -> bool:
        (report,) = self._world.pipeline.verify("account", method="deep")
        verdict = "in agreement, at every date" if report.agreement else f"NOT in agreement: {report.counts}"
        print(f"   {report.records_compared} accounts read and compared by meaning: {verdict}.")
        return bool(report.agreement)


def main() -> int:
    parser = argparse.ArgumentParser(description="The product and its billing in lockstep.")
    parser.add_argument("--customers", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON at the end")
    asked = parser.parse_args()
    if asked.customers < 2:
        parser.error("--customers must be 2 or more")
    with world(asked.customers) as made:
        story = Story(made, asked.customers)
        agreed = story.tell()
    print(NEXT if agreed else "\nThe two sides do NOT agree: see above.")
    if asked.json:
        print(json.dumps({**story.figures, "agreement": agreed}))
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
