"""The models of the flights, written by `lockstep explore`, then owned: columns nobody maps are out.

The database has no foreign key from a flight to its plane, its destination or its weather, because not every
one is known. So nothing here refers there; the shapes in pipeline.py say how they are found.
"""

from __future__ import annotations

import datetime as dt

import lockstep as ls


class Airline(ls.Model, table="public.airlines"):
    carrier: str = ls.key()
    name: str


class Airport(ls.Model, table="public.airports"):
    faa: str = ls.key()
    name: str
    lat: float
    lon: float
    tzone: str | None


class Plane(ls.Model, table="public.planes"):
    tailnum: str = ls.key()
    year: int | None
    manufacturer: str
    model: str
    seats: int


class Weather(ls.Model, table="public.weather"):
    origin: str = ls.key(ref="Airport.faa")
    time_hour: dt.datetime = ls.key()
    temp: float | None
    wind_speed: float | None
    precip: float | None
    visib: float | None


class Flight(ls.Model, table="public.flights"):
    id: int = ls.key()
    time_hour: dt.datetime
    carrier: str = ls.ref("Airline.carrier")
    flight: int
    tailnum: str | None
    origin: str = ls.ref("Airport.faa")
    dest: str
    dep_delay: int | None
    arr_delay: int | None
    air_time: int | None
    distance: int
