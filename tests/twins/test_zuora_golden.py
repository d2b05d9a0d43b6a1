"""The worked tables of Zuora's documents. They print the last day; here an end is the day after."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace

from lockstep.twins.zuora.engine.money import price
from lockstep.twins.zuora.engine.tree import Charge, Refused, Segment, Tier, Version, with_charges
from tests.twins import tenant
from tests.twins.tenant import Tenant, act, cancel, remove, renew, resume, seats, subscribe, suspend


def test_a_price_change_cuts_the_segment_in_two() -> None:
    """Orders: 'update a product'. v1: one segment of the term; v2: until 30 June, and from 1 July."""
    made = Tenant()
    made.do(subscribe())
    first = made.last
    assert made.table() == [(1, "2025-01-01", "2026-01-01", "10", "10")]

    made.do(seats("2025-07-01", price="12"))

    assert made.table() == [
        (1, "2025-01-01", "2025-07-01", "10", "10"),
        (2, "2025-07-01", "2026-01-01", "10", "12"),
    ]
    assert (made.last.version, made.last.previous_id) == (2, first.id)
    before, after = first.plans[0].charges[0], made.last.plans[0].charges[0]
    assert (before.number, before.original_id) == (after.number, after.original_id)
    assert [one.version for one in made.rows()] == [1, 2]
    assert before.segments[0].id == before.original_id, "in version 1 the id is the original id"


def test_an_update_before_a_future_dated_update() -> None:
    """'Update a product on a subscription with future-dated updates': Basic, Special and Premium Service."""
    made = Tenant()
    made.do(subscribe("2021-01-01"))
    made.do(seats("2021-07-01", price="8", quantity=20))

    with pytest.raises(Refused, match="specificUpdateDate"):
        made.do(seats("2021-05-01", price="9", quantity=15))
    made.do(seats("2021-05-01", price="9", quantity=15, before=True))

    assert made.table() == [
        (1, "2021-01-01", "2021-05-01", "10", "10"),
        (3, "2021-05-01", "2021-07-01", "15", "9"),
        (2, "2021-07-01", "2022-01-01", "20", "8"),
    ]


def test_an_update_before_a_future_dated_removal() -> None:
    """'Update products on subscriptions with future-dated removals': Basic, then Premium to the end."""
    made = Tenant()
    made.do(subscribe("2018-01-01"))
    made.do(remove("2019-01-01"))
    made.do(seats("2018-10-01", price="20"))

    assert made.table() == [
        (1, "2018-01-01", "2018-10-01", "10", "10"),
        (2, "2018-10-01", "2019-01-01", "10", "20"),
    ]
    made.do(renew("2019-01-01"))
    assert made.table()[-1] == (2, "2018-10-01", "2019-01-01", "10", "20"), "what is removed is not renewed"


def test_the_earlier_of_two_removals_holds() -> None:
    """'Remove rate plans before future-dated removals': a later one makes a version, and takes no effect."""
    made = Tenant()
    made.do(subscribe())
    made.do(remove("2025-09-01"))
    made.do(remove("2025-10-01"))
    assert made.table() == [(1, "2025-01-01", "2025-09-01", "10", "10")]
    assert made.last.version == 3

    made.do(remove("2025-06-01"))
    assert made.table() == [(1, "2025-01-01", "2025-06-01", "10", "10")]


def test_a_cancellation_is_deleted_and_the_subscription_renewed() -> None:
    """Order to Revenue, 'Delete or amend order', scenario 1, with segments split by term."""
    made = Tenant(split_by_term=True)
    made.do(subscribe())
    order = made.do(cancel("2025-12-01"))
    assert made.table() == [(1, "2025-01-01", "2025-12-01", "10", "10")]
    assert (made.last.version, made.last.status, str(made.last.end)) == (2, "Cancelled", "2025-12-01")
    with pytest.raises(Refused, match="cancelled"):
        made.do(renew("2026-01-01"))

    made.delete(order)
    assert (made.last.version, made.last.status) == (1, "Active")
    assert made.table() == [(1, "2025-01-01", "2026-01-01", "10", "10")]

    made.do(renew("2026-01-01"))
    assert made.last.version == 2
    assert made.table() == [
        (1, "2025-01-01", "2026-01-01", "10", "10"),
        (2, "2026-01-01", "2027-01-01", "10", "10"),
    ]


def test_a_segment_and_a_version_are_used_again() -> None:
    """Order to Revenue, 'Delete or amend order', scenario 2: V2 and C1.2 are others after the deletion."""
    made = Tenant()
    made.do(subscribe())
    order = made.do(seats("2025-07-01", price="12"))
    gone = made.last
    made.delete(order)
    assert made.table() == [(1, "2025-01-01", "2026-01-01", "10", "10")]

    made.do(seats("2025-09-01", price="15"))

    assert made.last.version == gone.version == 2
    assert made.last.id != gone.id
    assert made.table() == [
        (1, "2025-01-01", "2025-09-01", "10", "10"),
        (2, "2025-09-01", "2026-01-01", "10", "15"),
    ]


def test_only_the_last_order_can_be_deleted() -> None:
    made = Tenant()
    first = made.do(subscribe())
    made.do(seats("2025-07-01", price="12"))
    with pytest.raises(Refused, match="delete O-2 first"):
        made.delete(first)


@pytest.mark.parametrize(
    ("split", "billed", "blocked"),
    [(False, True, False), (False, False, False), (True, True, True), (True, False, False)],
)
def test_deletion_of_a_renewal(split: bool, billed: bool, blocked: bool) -> None:
    """'Renewal orders deletion', with split by term and without: what is blocked once invoiced."""
    made = Tenant(split_by_term=split)
    made.do(subscribe())
    order = made.do(renew("2026-01-01"))
    if billed:
        made.history = (*made.history[:-1], _charged(made, "2026-03-01"))

    if blocked:
        with pytest.raises(Refused, match="already been invoiced"):
            made.delete(order)
        return
    made.delete(order)
    assert made.table() == [(1, "2025-01-01", "2026-01-01", "10", "10")]
    assert str(made.last.term.end) == "2026-01-01"
    assert str(made.rows()[0].charged_through) == ("2026-03-01" if billed else "None"), "items are re-pointed"


EVERGREEN = {"termType": "EVERGREEN"}


@pytest.mark.parametrize(
    ("order", "termed", "evergreen"),
    [
        (
            seats("2025-07-01", price="12"),
            [("2025-07-01", 1), ("2026-01-01", 2)],
            [("2025-07-01", 1), (None, 2)],
        ),
        (
            seats("2025-07-01", quantity=3),
            [("2025-07-01", 1), ("2026-01-01", 2)],
            [("2025-07-01", 1), (None, 2)],
        ),
        (remove("2025-07-01"), [("2025-07-01", 1)], [("2025-07-01", 1)]),
        (cancel("2025-07-01"), [("2025-07-01", 1)], [("2025-07-01", 1)]),
        (suspend("2025-07-01"), [("2025-07-01", 1)], [("2025-07-01", 1)]),
        (
            act("OwnerTransfer", "2025-07-01", destinationAccountNumber="A2"),
            [("2026-01-01", 1)],
            [(None, 1)],
        ),
        (
            act(
                "TermsAndConditions",
                "2025-07-01",
                lastTerm={"termType": "TERMED", "period": 24, "periodType": "Month"},
            ),
            [("2027-01-01", 1)],
            [("2027-01-01", 1)],
        ),
        (
            act("TermsAndConditions", "2025-07-01", lastTerm={"termType": "TERMED", "endDate": "2025-10-01"}),
            [("2025-10-01", 1)],
            [("2025-10-01", 1)],
        ),
    ],
)
def test_what_each_order_action_does_to_segments(
    order: dict[str, object], termed: list[tuple[str | None, int]], evergreen: list[tuple[str | None, int]]
) -> None:
    """'Use cases of mapping order actions': an end brought forward, a segment begun, or neither."""
    for term, expected in ((None, termed), (EVERGREEN, evergreen)):
        made = Tenant()
        made.do(subscribe() if term is None else subscribe(term=term))
        made.do(order)
        assert [(one.end and str(one.end), one.number) for one in made.rows()] == expected
        assert made.last.version == 2


def test_a_resumption_is_a_new_segment() -> None:
    """The same page: Suspend brings the end forward, Resume begins a segment; here with the term extended."""
    made = Tenant()
    made.do(subscribe())
    made.do(suspend("2025-04-01"))
    with pytest.raises(Refused, match="only be resumed"):
        made.do(seats("2025-05-01", price="1"))
    made.do(resume("2025-06-01", extends=True))
    assert made.table() == [
        (1, "2025-01-01", "2025-04-01", "10", "10"),
        (2, "2025-06-01", "2026-03-03", "10", "10"),
    ]
    assert str(made.last.term.end) == "2026-03-03", "61 days"
    with pytest.raises(Refused, match="no change before"):
        made.do(seats("2025-05-01", price="1"))


def test_an_update_on_the_first_day_leaves_a_segment_without_a_day() -> None:
    """Of several changes on one date the last wins; rows [start, start) are seen in real tenants."""
    made = Tenant()
    made.do(subscribe())
    made.do(seats("2025-01-01", price="11"), seats("2025-01-01", quantity=7))
    assert made.table() == [
        (1, "2025-01-01", "2025-01-01", "10", "10"),
        (2, "2025-01-01", "2025-01-01", "10", "11"),
        (3, "2025-01-01", "2026-01-01", "7", "11"),
    ]
    assert made.last.version == 3


def test_tiers_are_counted_band_by_band_and_volume_at_the_band_reached() -> None:
    """Zuora's example of 25 units: 220 tiered, 200 by volume."""
    bands = tenant.tiers(("1", "20", "10", "PerUnit"), ("21", None, "4", "PerUnit"))
    charge, segment = _priced("Tiered", bands, 25)
    assert price(charge, segment) == Decimal(220)
    charge, segment = _priced(
        "Volume", tenant.tiers(("1", "20", "10", "PerUnit"), ("21", None, "8", "PerUnit")), 25
    )
    assert price(charge, segment) == Decimal(200)


def test_a_one_time_charge_lasts_one_day_and_is_not_resumed() -> None:
    made = Tenant()
    made.do(subscribe(plan="flat"))
    assert made.table(charge=1) == [(1, "2025-01-01", "2025-01-02", None, "50")]
    made.do(suspend("2025-01-01"))
    made.do(resume("2025-02-01"))
    assert made.table(charge=1) == [(1, "2025-01-01", "2025-01-01", None, "50")]


def _charged(made: Tenant, day: str) -> Version:
    """The last version as a bill run leaves it."""
    through = date.fromisoformat(day)

    def billed(charge: Charge) -> Charge:
        return replace(charge, segments=tuple(replace(s, charged_through=through) for s in charge.segments))

    return with_charges(made.last, billed)


def _priced(model: str, bands: tuple[Tier, ...], quantity: int) -> tuple[Charge, Segment]:
    made = Tenant()
    made.do(subscribe())
    charge = replace(made.last.plans[0].charges[0], model=model)
    return charge, replace(charge.segments[0], tiers=bands, quantity=Decimal(quantity))
