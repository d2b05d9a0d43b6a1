"""What befell an account's records, on trees that are made up: each fate, and the laws of all of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockstep.systems.zuora.probe.probed import Change, Recorded, changes, fate

START = dt.date(2025, 1, 1)


def day(number: int) -> str:
    return (START + dt.timedelta(days=number)).isoformat()


def version(number: int, segments: dict[tuple[str, int], tuple[int, int]], *, last: bool) -> list[Recorded]:
    """A version of S-1 with one plan; segments by charge number and number, as (first day, end)."""
    top = {
        "name": "S-1",
        "version": number,
        "isLatestVersion": last,
        "status": "Active" if last else "Expired",
    }
    made = [Recorded("subscription", f"s{number}", "a", top)]
    plan = {"subscriptionRatePlanNumber": "SRP-1", "name": "Pro", "subscriptionId": f"s{number}"}
    made.append(Recorded("rate plan", f"p{number}", f"s{number}", plan))
    for (charge, segment), (start, end) in segments.items():
        id = f"{charge}.{segment}.v{number}"
        fields: dict[str, Any] = {"id": id, "originalId": charge, "chargeNumber": charge, "segment": segment}
        fields |= {"effectiveStartDate": day(start), "effectiveEndDate": day(end), "ratePlanId": f"p{number}"}
        made.append(Recorded("charge", id, f"p{number}", fields))
        made.append(Recorded("tier", f"{id}.1", id, {"tier": 1, "price": 9, "ratePlanChargeId": id}))
    return made


Segments = st.dictionaries(
    st.tuples(st.sampled_from(["C-1", "C-2", "C-3"]), st.integers(1, 3)),
    st.tuples(st.integers(0, 50), st.integers(50, 99)),
    min_size=1,
)


def by_id(found: list[Change]) -> dict[str, Change]:
    made = {one.id: one for one in found}
    assert len(made) == len(found), "a record is told twice"
    return made


@given(Segments, Segments)
def test_another_version_is_told_leaf_by_leaf(
    old: dict[tuple[str, int], tuple[int, int]], new: dict[tuple[str, int], tuple[int, int]]
) -> None:
    before = version(1, old, last=True)
    after = [*version(1, old, last=False), *version(2, new, last=True)]
    told = by_id(changes(before, after))
    assert fate(told.pop("s1")) == "superseded"
    assert (fate(told.pop("s2")), fate(told.pop("p2"))) == ("copied", "copied")
    for (charge, segment), (start, end) in new.items():
        one = told.pop(f"{charge}.{segment}.v2")
        tier = told.pop(f"{charge}.{segment}.v2.1")
        was = old.get((charge, segment))
        if was is None:
            assert fate(one) == fate(tier) == "created"
            continue
        assert one.copied_from == f"{charge}.{segment}.v1"
        assert (tier.copied_from, tier.what) == (f"{charge}.{segment}.v1.1", "same")
        if end != was[1]:
            assert one.what == ("cut short" if end < was[1] else "extended")
        else:
            assert one.what == ("same" if start == was[0] else "changed")
    assert not told, "something is told that stayed as it was"


@given(Segments, Segments)
def test_what_comes_and_goes_is_turned_round(
    old: dict[tuple[str, int], tuple[int, int]], new: dict[tuple[str, int], tuple[int, int]]
) -> None:
    """An order that is deleted takes back just what it made."""
    before = version(1, old, last=True)
    after = [*version(1, old, last=False), *version(2, new, last=True)]
    forth, back = by_id(changes(before, after)), by_id(changes(after, before))
    assert forth.keys() == back.keys()
    assert back["s1"].what == "restored"
    assert {one.what for id, one in back.items() if id != "s1"} == {"removed"}
    assert changes(before, before) == [] == changes(after, after)


def test_several_versions_at_once_are_each_told_by_the_one_before() -> None:
    one, two, three = (
        {("C-1", 1): (0, 90)},
        {("C-1", 1): (0, 60)},
        {("C-1", 1): (0, 30), ("C-1", 2): (30, 60)},
    )
    before = version(1, one, last=True)
    after = [
        *version(1, one, last=False),
        *version(2, two, last=False),
        *version(3, three, last=True),
    ]
    told = by_id(changes(before, after))
    assert told["C-1.1.v3"].copied_from == "C-1.1.v2"
    assert told["C-1.1.v3"].fields["effectiveEndDate"] == (day(60), day(30))
    assert told["C-1.2.v3"].what == "created"


def test_a_stamp_alone_is_a_touch_and_an_end_that_opens_is_an_extension() -> None:
    def charge(**fields: Any) -> list[Recorded]:
        return [Recorded("charge", "c", None, fields)]

    def what(old: list[Recorded], new: list[Recorded]) -> str:
        return changes(old, new)[0].what

    assert what(charge(updatedDate="1"), charge(updatedDate="2")) == "touched"
    assert what(charge(effectiveEndDate=day(3)), charge()) == "extended"
    assert what(charge(), charge(effectiveEndDate=day(3))) == "cut short"
