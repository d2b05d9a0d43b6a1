"""A small product that sells seats: its own idea of who is on which plan since when, in SQLite."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE customers (
  id INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, name TEXT NOT NULL, country TEXT NOT NULL,
  currency TEXT NOT NULL,
  first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT NOT NULL
);
CREATE TABLE subscriptions (
  id INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  starts_on DATE NOT NULL, months INTEGER NOT NULL, cancelled_on DATE
);
CREATE INDEX subscriptions_customer ON subscriptions (customer_id);
-- From this day on the subscription is on this plan, for so many seats at this price a seat.
CREATE TABLE plan_changes (
  id INTEGER PRIMARY KEY, subscription_id INTEGER NOT NULL REFERENCES subscriptions (id),
  day DATE NOT NULL, plan TEXT NOT NULL, seats INTEGER NOT NULL, price DECIMAL(10, 2) NOT NULL
);
CREATE INDEX plan_changes_subscription ON plan_changes (subscription_id);
"""

PLANS = {"TEAM": "12.50", "PRO": "24.90"}
_TRADES = ("Bakery", "Analytics", "Logistics", "Robotics", "Insurance", "Press", "Optics", "Farms", "Rail")
_FIRST = ("Ada", "Aiko", "Bo", "Chidi", "Dunja", "Emil", "Fatou", "Grace", "Hugo", "Ines", "Jonas", "Kofi")
_NAMES = ("Adeyemi", "Berg", "Costa", "Dubois", "Eriksson", "Fischer", "Garcia", "Hopper", "Ito", "Jansen")
_COUNTRIES = {"Germany": "EUR", "Spain": "EUR", "Canada": "USD", "United States": "USD"}


def connect(path: Path) -> sqlite3.Connection:
    """A connection as the product would open one."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def create(path: Path, customers: int, since: dt.date, seed: int = 1) -> None:
    """Makes the database, with customers who began after `since`, and some who changed their plan later."""
    chance = random.Random(seed)
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    for number in range(1, customers + 1):
        _customer(connection, chance, number, since)
    connection.execute("COMMIT")
    connection.close()


def _customer(connection: sqlite3.Connection, chance: random.Random, number: int, since: dt.date) -> None:
    name = chance.choice(_NAMES)
    country = chance.choice(list(_COUNTRIES))
    row = (
        number,
        f"C-{number}",
        f"{name} {chance.choice(_TRADES)} {number}",
        country,
        _COUNTRIES[country],
        chance.choice(_FIRST),
        name,
        f"{name.lower()}{number}@example.com",
    )
    connection.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    start = since + dt.timedelta(days=chance.randrange(60))
    connection.execute(
        "INSERT INTO subscriptions VALUES (?, ?, ?, ?, 12, NULL)",
        (number, f"S-{number}", number, start.isoformat()),
    )
    plan, seats = chance.choice(list(PLANS)), chance.randint(1, 40)
    change(connection, number, start, plan, seats)
    if chance.random() < 0.3:
        later = start + dt.timedelta(days=chance.randrange(30, 90))
        change(connection, number, later, chance.choice(list(PLANS)), seats + chance.randint(1, 10))


def change(
    connection: sqlite3.Connection,
    subscription: int,
    day: dt.date,
    plan: str,
    seats: int,
    price: str | None = None,
) -> None:
    """What the product does when a customer changes the plan or the seats."""
    connection.execute(
        "INSERT INTO plan_changes (subscription_id, day, plan, seats, price) VALUES (?, ?, ?, ?, ?)",
        (subscription, day.isoformat(), plan, seats, price or PLANS[plan]),
    )


def latest(connection: sqlite3.Connection, subscription: int) -> tuple[str, int]:
    """The plan and the seats of the last change."""
    row = connection.execute(
        "SELECT plan, seats FROM plan_changes WHERE subscription_id = ? ORDER BY day DESC, id DESC LIMIT 1",
        (subscription,),
    ).fetchone()
    return row[0], row[1]
