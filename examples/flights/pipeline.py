"""336,776 flights, each a document: the flight, its airline, its plane, two airports, the weather.

One function says what a flight means. It is declared twice, for a search cluster and for an index inside
this process, and each of the two is filled, followed and checked by itself.
"""

# The models are beside this file; a type checker that starts in another directory does not find them.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import os

from models import Airline, Airport, Flight, Plane, Weather

import lockstep as ls

database = ls.Postgres.from_env("FLIGHTS_DATABASE_URL", slot="flights", publication="flights")
search = ls.OpenSearch.from_env("OPENSEARCH_URL")
embedded = ls.Tantivy(os.environ.get("FLIGHTS_INDEX", "index"))  # a directory
pipeline = ls.Pipeline("flights")


class FlightDetails(Flight):
    airline: Airline  # found by its foreign key
    origin_airport: Airport  # likewise: only `origin` has one that leads to an airport
    dest_airport: Airport | None = ls.one(on=Flight.dest)  # no foreign key: name the column
    plane: Plane | None = ls.one(on=Flight.tailnum)
    weather: Weather | None = ls.one(on=(Flight.origin, Flight.time_hour))  # a key of two columns


keyword = {"type": "keyword"}
airport_fields = {"properties": {"code": keyword, "name": {"type": "text"}, "at": {"type": "geo_point"}}}
flights_index = search.index(
    "flights",
    mappings={
        "properties": {
            "number": keyword,
            "airline": keyword,
            "hour": {"type": "date"},
            "from": airport_fields,
            "to": airport_fields,
            "plane": {"properties": {"tail": keyword, "model": keyword, "maker": keyword}},
            "weather": {"properties": {"wind": {"type": "double"}}},  # 12.658579999999999 is no float
        }
    },
)


@pipeline.mapping(database, to=flights_index, name="flights")
@pipeline.mapping(database, to=embedded.index("flights"), name="flights_embedded")
def flight_document(flight: FlightDetails) -> dict[str, object]:
    """What a flight means, in both."""
    return {
        "number": f"{flight.carrier}{flight.flight}",
        "airline": flight.airline.name,
        "hour": flight.time_hour,
        "from": airport(flight.origin_airport),
        "to": airport(flight.dest_airport) or {"code": flight.dest},
        "plane": plane(flight),
        "miles": flight.distance,
        "minutes": flight.air_time,
        "cancelled": flight.air_time is None,
        "late": {"departure": flight.dep_delay, "arrival": flight.arr_delay},
        "weather": weather(flight.weather),
    }


def airport(found: Airport | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {"code": found.faa, "name": found.name, "at": {"lat": found.lat, "lon": found.lon}}


def plane(flight: FlightDetails) -> dict[str, object] | None:
    if flight.tailnum is None:
        return None
    known = flight.plane
    return {
        "tail": flight.tailnum,
        "maker": known and known.manufacturer,
        "model": known and known.model,
        "year": known and known.year,
        "seats": known and known.seats,
    }


def weather(found: Weather | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "temperature": found.temp,
        "wind": found.wind_speed,
        "rain": found.precip,
        "visibility": found.visib,
    }
