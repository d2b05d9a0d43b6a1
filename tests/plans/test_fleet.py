"""A healer's actions: the observer rule, shares, and data that goes with its host."""

from __future__ import annotations

from typing import Any

import pytest

from lockstep.errors import PlanUnreadable
from lockstep.guard.plans.fleet import read_fleet
from lockstep.guard.plans.healing import judge_fleet


def host(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "group": "search", "stateful": False, **more}


def said(*hosts: dict[str, Any], **more: Any) -> list[tuple[str, str, str]]:
    found = judge_fleet(read_fleet({"version": 1, "hosts": list(hosts)}), **more)
    return [(one.rule, one.severity, one.address) for one in found]


def lost(name: str, minute: int = 4, **more: Any) -> dict[str, Any]:
    return host(name, unreachable_since=f"2026-03-06T22:{minute:02}:10Z", action="replace", **more)


def test_the_friday_night() -> None:
    found = judge_fleet(
        read_fleet(
            {
                "version": 1,
                "hosts": [lost(f"s{at}", at, stateful=True, storage="ephemeral") for at in range(9)],
            }
        )
    )
    said = {(one.rule, one.severity, one.address) for one in found}
    assert ("observer", "hold", "the fleet") in said
    assert ("fleet-share", "hold", "group search") in said
    assert {("stateful", "hold", f"s{at}") for at in range(9)} <= said
    (sentence,) = (one.sentence for one in found if one.address == "the fleet")
    assert "9 of 9 hosts of the fleet are unreachable, all of them lost within 10 minutes" in sentence


def test_one_of_many_may_be_replaced() -> None:
    assert said(lost("a"), *(host(f"h{at}") for at in range(9))) == []


def test_a_zone_that_is_lost_is_not_healed() -> None:
    dark = [lost(f"d{at}", zone="a") for at in range(3)]
    light = [host(f"l{at}", zone="b") for at in range(9)]
    assert said(*dark, *light) == [("observer", "hold", "zone a")]
    assert said(*dark, *light, approved=["zone a"]) == [("observer", "note", "zone a")]


def test_nothing_is_held_where_nothing_is_done() -> None:
    assert said(*(host(f"h{at}", unreachable_since="2026-03-06T22:00:00Z") for at in range(5))) == []
    assert said() == []


def test_exactly_half_is_not_most() -> None:
    assert said(lost("a"), lost("b"), host("c"), host("d"), most=1) == []
    assert said(lost("a"), lost("b"), host("c"), most=1) == [
        ("observer", "hold", "group search"),
        ("observer", "hold", "the fleet"),
    ]
    assert said(lost("a"), lost("b"), host("c"), most=1, most_unreachable=0.7) == []


def test_times_far_apart_are_still_most_of_the_fleet() -> None:
    found = judge_fleet(read_fleet({"version": 1, "hosts": [lost("a", 0), lost("b", 50)]}))
    (sentence,) = (one.sentence for one in found if one.address == "the fleet")
    assert "are unreachable. So many" in sentence


@pytest.mark.parametrize(
    ("storage", "stateful", "severity"),
    [
        ("ephemeral", True, "hold"),
        (None, None, "hold"),
        ("persistent", True, "note"),
        ("ephemeral", False, ""),
    ],
)
def test_what_is_not_said_is_taken_for_the_worse(
    storage: str | None, stateful: bool | None, severity: str
) -> None:
    given: dict[str, Any] = {"name": "a", "group": "g", "action": "replace"}
    given |= {} if storage is None else {"storage": storage}
    given |= {} if stateful is None else {"stateful": stateful}
    assert said(given) == ([("stateful", severity, "a")] if severity else [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no list of actions"),
        ({"hosts": []}, '"version" must be 1'),
        ({"version": 2, "hosts": []}, '"version" must be 1'),
        ({"version": True, "hosts": []}, '"version" must be 1'),
        ({"version": 1, "hosts": {}}, '"hosts" must be a list'),
        ({"version": 1, "hosts": [1]}, "hosts[0] must be an object"),
        ({"version": 1, "hosts": [{"name": "a"}]}, "hosts[0] (a): group must be a text"),
        ({"version": 1, "hosts": [host("a", action="nuke")]}, "action must be one of"),
        ({"version": 1, "hosts": [host("a", storage="ssd")]}, "storage must be one of"),
        ({"version": 1, "hosts": [host("a", storage=["none"])]}, "storage must be one of"),
        ({"version": 1, "hosts": [host("a", stateful="no")]}, "stateful must be true or false"),
        ({"version": 1, "hosts": [host("a", unreachable_since="22:04")]}, "a time with its zone"),
        (
            {"version": 1, "hosts": [host("a", unreachable_since="2026-03-06T22:04:10")]},
            "a time with its zone",
        ),
        ({"version": 1, "hosts": [host("a", unreachable_since=1700000000)]}, "a time with its zone"),
        ({"version": 1, "hosts": [host("a", reachable=False)]}, "a field that nobody knows: reachable"),
        ({"version": 1, "hosts": [host("a"), host("a")]}, "stands there twice"),
    ],
)
def test_errors_name_the_host_and_the_field(given: Any, words: str) -> None:
    with pytest.raises(PlanUnreadable) as error:
        read_fleet(given)
    assert words in str(error.value)
    assert error.value.remedy
