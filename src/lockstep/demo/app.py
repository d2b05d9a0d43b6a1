"""A small SaaS product: its SQLite database, filled the same way every time."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE subscriptions (
  id INTEGER PRIMARY KEY, company_id INTEGER NOT NULL UNIQUE REFERENCES companies (id),
  plan TEXT NOT NULL, seats INTEGER NOT NULL, price DECIMAL(10, 2) NOT NULL
);
CREATE TABLE users (
  id INTEGER PRIMARY KEY, company_id INTEGER REFERENCES companies (id),
  name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, last_seen_at TEXT
);
CREATE INDEX users_company ON users (company_id);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE users_tags (
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  tag_id INTEGER NOT NULL REFERENCES tags (id), PRIMARY KEY (user_id, tag_id)
) WITHOUT ROWID;
CREATE INDEX users_tags_tag ON users_tags (tag_id);
CREATE TABLE conversations (
  id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  subject TEXT NOT NULL, open BOOLEAN NOT NULL
);
CREATE INDEX conversations_user ON conversations (user_id);
"""

PLANS = {"Free": "0", "Team": "12.50", "Business": "24.90"}
TAGS = ("admin", "beta", "billing", "champion", "churn risk", "developer", "evangelist", "new", "vip")
_CITIES = ("Berlin", "Lagos", "Lima", "Lyon", "Osaka", "Porto", "Pune", "Tallinn", "Toronto", "Zürich")
_FIRST = ("Ada", "Aiko", "Bo", "Chidi", "Dunja", "Emil", "Fatou", "Grace", "Hugo", "Ines", "Jonas", "Kofi")
_LAST = ("Adeyemi", "Berg", "Costa", "Dubois", "Eriksson", "Fischer", "Garcia", "Hopper", "Ito", "Jansen")
_TRADES = ("Bakery", "Analytics", "Logistics", "Robotics", "Insurance", "Press", "Optics", "Farms", "Rail")
SUBJECTS = ("Invoice is wrong", "How do I export?", "Login fails", "Love the new search", "Add ten seats")


def connect(path: Path) -> sqlite3.Connection:
    """A connection as the product would open one."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def create(path: Path, companies: int, users: int, seed: int = 1) -> None:
    """Makes the database and fills it."""
    chance = random.Random(seed)
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO companies VALUES (?, ?, ?)",
        [
            (number, f"{chance.choice(_LAST)} {chance.choice(_TRADES)} {number}", chance.choice(_CITIES))
            for number in range(1, companies + 1)
        ],
    )
    connection.executemany(
        "INSERT INTO subscriptions VALUES (?, ?, ?, ?, ?)",
        [
            (number, number, plan, chance.randint(1, 80), PLANS[plan])
            for number in range(1, companies + 1)
            for plan in [chance.choice(tuple(PLANS))]
        ],
    )
    connection.executemany("INSERT INTO tags VALUES (?, ?)", list(enumerate(TAGS, 1)))
    connection.executemany(
        "INSERT INTO users VALUES (?, ?, ?, ?, NULL)",
        [(number, chance.randint(1, companies), *person(chance, number)) for number in range(1, users + 1)],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO users_tags VALUES (?, ?)",
        [(chance.randint(1, users), chance.randint(1, len(TAGS))) for _ in range(users)],
    )
    connection.executemany(
        "INSERT INTO conversations VALUES (?, ?, ?, ?)",
        [
            (number, chance.randint(1, users), chance.choice(SUBJECTS), chance.random() < 0.3)
            for number in range(1, 2 * users + 1)
        ],
    )
    connection.execute("COMMIT")
    connection.close()


def person(chance: random.Random, number: int) -> tuple[str, str]:
    """A name and an address that nobody else has."""
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    return f"{first} {last}", f"{first}.{last}.{number}@Example.com"
