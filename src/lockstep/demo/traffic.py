"""The product's customers: changes of every kind, in transactions, some of them rolled back."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lockstep.demo.app import PLANS, SUBJECTS, TAGS, connect, person


class Traffic(threading.Thread):
    """Changes the database until stopped, `rate` transactions a second."""

    def __init__(self, path: Path, rate: float, seed: int = 7) -> None:
        super().__init__(name="demo-traffic", daemon=True)
        self._path = path
        self._pause = 1 / rate
        self._chance = random.Random(seed)
        self._halt = threading.Event()
        self.changes = 0
        self.rolled_back = 0

    def stop(self) -> None:
        self._halt.set()
        self.join()

    def run(self) -> None:
        connection = connect(self._path)
        kinds = (
            self._rename,
            self._move,
            self._tag,
            self._talk,
            self._join_up,
            self._leave,
            self._upgrade,
            self._company,
            self._seen,
        )
        at = time.monotonic()
        while not self._halt.is_set():
            connection.execute("BEGIN IMMEDIATE")
            self._chance.choice(kinds)(connection)
            if self._chance.random() < 0.05:
                connection.execute("ROLLBACK")
                self.rolled_back += 1
            else:
                connection.execute("COMMIT")
                self.changes += 1
            at = max(at + self._pause, time.monotonic() - 1)
            self._halt.wait(max(0.0, at - time.monotonic()))
        connection.close()

    def _user(self, connection: sqlite3.Connection) -> int:
        return self._one(connection, "SELECT max(id) FROM users", lambda most: self._chance.randint(1, most))

    def _one(self, connection: sqlite3.Connection, sql: str, pick: Callable[[int], int]) -> int:
        (number,) = connection.execute(sql).fetchone()
        return pick(int(number))

    def _rename(self, connection: sqlite3.Connection) -> None:
        number = self._user(connection)
        name, _ = person(self._chance, number)
        connection.execute("UPDATE users SET name = ? WHERE id = ?", (name, number))

    def _move(self, connection: sqlite3.Connection) -> None:
        company = self._one(connection, "SELECT max(id) FROM companies", lambda n: self._chance.randint(1, n))
        connection.execute("UPDATE users SET company_id = ? WHERE id = ?", (company, self._user(connection)))

    def _tag(self, connection: sqlite3.Connection) -> None:
        user, tag = self._user(connection), self._chance.randint(1, len(TAGS))
        gone = connection.execute("DELETE FROM users_tags WHERE user_id = ? AND tag_id = ?", (user, tag))
        if gone.rowcount == 0:
            connection.execute("INSERT INTO users_tags SELECT id, ? FROM users WHERE id = ?", (tag, user))

    def _talk(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO conversations (user_id, subject, open) SELECT id, ?, 1 FROM users WHERE id = ?",
            (self._chance.choice(SUBJECTS), self._user(connection)),
        )
        connection.execute("UPDATE conversations SET open = 0 WHERE user_id = ?", (self._user(connection),))

    def _join_up(self, connection: sqlite3.Connection) -> None:
        number = self._one(connection, "SELECT max(id) FROM users", lambda most: most + 1)
        name, email = person(self._chance, number)
        company = self._one(connection, "SELECT max(id) FROM companies", lambda n: self._chance.randint(1, n))
        connection.execute("INSERT INTO users VALUES (?, ?, ?, ?, NULL)", (number, company, name, email))

    def _leave(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM users WHERE id = ?", (self._user(connection),))

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        plan = self._chance.choice(tuple(PLANS))
        company = self._one(connection, "SELECT max(id) FROM companies", lambda n: self._chance.randint(1, n))
        connection.execute(
            "UPDATE subscriptions SET plan = ?, price = ?, seats = seats + 1 WHERE company_id = ?",
            (plan, PLANS[plan], company),
        )

    def _company(self, connection: sqlite3.Connection) -> None:
        company = self._one(connection, "SELECT max(id) FROM companies", lambda n: self._chance.randint(1, n))
        connection.execute(
            "UPDATE companies SET name = name || '.' WHERE id = ? AND length(name) < 60", (company,)
        )

    def _seen(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE users SET last_seen_at = '2026-03-03T10:00:00' WHERE id = ?", (self._user(connection),)
        )
