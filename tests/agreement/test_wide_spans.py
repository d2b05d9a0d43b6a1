"""A fast check sums wide spans first, and those that differ again by narrow ones."""

from __future__ import annotations

from typing import Any

import pytest

import lockstep as ls
from lockstep.agreement import listing, narrowing, scope
from lockstep.forms import keys
from lockstep.guard.door import Door
from lockstep.systems.postgres.reading.snapshot import PostgresSnapshot
from lockstep.values import EVERYTHING, Span
from tests.agreement.planted import Saboteur
from tests.pairs.world import World

SYSTEMS = ["opensearch", "sql", "postgres", "tantivy"]
SUMMED = ["opensearch", "sql", "postgres"]


class Asked:
    """What each side was asked to sum: how many spans, and within what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source: list[tuple[int, Span]] = []
        self.target: list[tuple[int, Span]] = []
        for owner, said in ((PostgresSnapshot, self.source), (Door, self.target)):
            self._spy(monkeypatch, owner, said)

    def _spy(self, monkeypatch: pytest.MonkeyPatch, owner: Any, said: list[tuple[int, Span]]) -> None:
        sums = owner.sums

        def spied(self: Any, what: Any, cuts: Any, within: Span = EVERYTHING) -> Any:
            said.append((len(cuts) + 1, within))
            return sums(self, what, cuts, within)

        monkeypatch.setattr(owner, "sums", spied)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """60 keys in 30 spans and an empty one after the last; seven spans are a wide one."""
    monkeypatch.setattr(scope, "SPAN", 2)
    monkeypatch.setattr(narrowing, "WIDE", 5)
    monkeypatch.setattr(narrowing, "APART", 2)
    return Asked(monkeypatch)


def check(world: World) -> dict[str, str]:
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert report.spans == 31
    assert report.source_keys == 60
    return {str(one.key or one.target_key): one.kind for one in report.divergences}


@pytest.mark.parametrize("world", SYSTEMS, indirect=True)
def test_what_differs_is_found_wherever_it_is(world: World, asked: Asked) -> None:
    world.run()
    assert check(world) == {}
    assert {*asked.source, *asked.target[:1]} == {(5, EVERYTHING)}
    bad = Saboteur(world)
    for number in (1, 12, 13, 36, 60):
        bad.delete(number)
    assert check(world) == dict.fromkeys(("1", "12", "13", "36", "60"), "missing")


@pytest.mark.parametrize("world", SUMMED, indirect=True)
def test_one_side_is_summed_again_where_it_differs(world: World, asked: Asked) -> None:
    world.run()
    Saboteur(world).delete(30)
    assert check(world) == {"30": "missing"}
    within = Span(keys.encode((28,)), keys.encode((42,)))
    assert asked.source == [(5, EVERYTHING)]
    assert asked.target == [(5, EVERYTHING), (7, within)]


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_places_apart_are_summed_one_by_one_and_many_in_one(world: World, asked: Asked) -> None:
    world.run()
    bad = Saboteur(world)
    for number in (1, 2, 13, 60):
        bad.delete(number)
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.counts, report.differing) == ({"missing": 4}, 3), "1 and 2 are in one span"
    assert asked.target[1:] == [(7, Span(None, keys.encode((14,)))), (3, Span(keys.encode((56,)), None))]
    assert len(asked.source) == 1
    bad.delete(30)
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.counts, report.differing) == ({"missing": 5}, 4)
    assert asked.target[3:] == [(5, EVERYTHING), (31, EVERYTHING)]


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_source_of_several_tables_is_summed_twice_at_most(world: World, asked: Asked) -> None:
    """What hangs below is read as a whole for each place, but where it has the root's key."""
    world.run()
    world.do("UPDATE users SET email = upper(email) WHERE id IN (1, 2, 33)")
    Saboteur(world).delete(50)
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.behind, report.counts, report.differing) == (3, {"missing": 1}, 3)
    assert asked.source == [(5, EVERYTHING), (21, Span(None, keys.encode((42,))))]
    assert asked.target == [(5, EVERYTHING), (7, Span(keys.encode((42,)), keys.encode((56,))))]


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_records_exchanged_within_a_wide_span_are_not_seen(world: World, asked: Asked) -> None:
    """Fingerprints and all: what is a sum of both is the same."""
    world.run()
    bad = Saboteur(world)
    bad.exchange(2, 5)
    assert check(world) == {}
    bad.exchange(20, 50)
    assert check(world) == {"20": "different", "50": "different"}
    bad.delete(9)
    assert check(world) == {"9": "missing"} | dict.fromkeys(("2", "5", "20", "50"), "different")


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_table_that_sums_only_the_whole_is_listed_where_it_differs(
    world: World, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.systems.sql.totals.sums", lambda *_: None)
    world.run()
    bad = Saboteur(world)
    bad.delete(30)
    bad.edit(31, email="edited@example.com")
    assert check(world) == {"30": "missing", "31": "different"}
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert report.differing == 7, "all of the wide span"


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_table_that_sums_only_the_whole_is_summed_again_where_much_would_be_listed(
    world: World, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.systems.sql.totals.sums", lambda *_: None)
    monkeypatch.setattr(listing, "LISTED", 20)
    world.run()
    bad = Saboteur(world)
    for number in (16, 33, 56):
        bad.delete(number)
    bad.edit(35, email="edited@example.com")
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.counts, report.differing) == ({"missing": 3, "different": 1}, 4)
    within = Span(keys.encode((14,)), keys.encode((56,)))
    assert asked.target == [(5, EVERYTHING), (21, within), (31, EVERYTHING)]
