"""Mixed load: transactions of every kind over all tables, from several connections, at a set rate."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from typing import Any

import psycopg

from tests.soak.world import COMPANIES, CONVERSATIONS, MESSAGES, TAGS, USERS

WRITERS = 4


class Dice:
    """Random statements. Keys stay in a range, so that tables neither empty nor grow."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def _pick(self, upto: int) -> int:
        return self.dice.randint(1, upto)

    def statements(self) -> list[str]:
        """Those of one transaction."""
        return [one for _ in range(self.dice.choice([1, 1, 2, 4, 8])) for one in self._some()]

    def _some(self) -> list[str]:
        user, talk, message = self._pick(USERS), self._pick(CONVERSATIONS), self._pick(MESSAGES)
        company, tag, n = self._pick(COMPANIES), self._pick(TAGS), self._pick(10**6)
        kinds: list[tuple[int, list[str]]] = [
            (12, [f"UPDATE messages SET body = 'edited {n}' WHERE id = {message}"]),
            (8, [f"INSERT INTO messages VALUES ({message}, {talk}, 'new {n}') ON CONFLICT DO NOTHING"]),
            (4, [f"DELETE FROM messages WHERE id = {message}"]),
            (4, [f"UPDATE messages SET conversation_id = {talk} WHERE id = {message}"]),
            (3, [f"UPDATE messages SET body = body || '.' WHERE conversation_id = {talk}"]),
            (8, [f"UPDATE conversations SET title = 'called {n}' WHERE id = {talk}"]),
            (4, [f"UPDATE conversations SET user_id = {user} WHERE id = {talk}"]),
            (2, [f"DELETE FROM conversations WHERE id = {talk}"]),
            (4, [f"INSERT INTO conversations VALUES ({talk}, {user}, 'new {n}') ON CONFLICT DO NOTHING"]),
            (8, [f"UPDATE users SET email = 'U{n}@Example.com' WHERE id = {user}"]),
            (4, [f"UPDATE users SET company_id = {company} WHERE id = {user}"]),
            (1, [f"UPDATE users SET company_id = NULL WHERE id = {user}"]),
            (8, [f"UPDATE users SET last_seen = now() WHERE id = {user}"]),
            (2, [f"DELETE FROM users WHERE id = {user}"]),
            (6, [f"INSERT INTO users VALUES ({user}, {company}, 'New{n}@x') ON CONFLICT DO NOTHING"]),
            (2, self._swapped(user, self._pick(USERS))),
            (1, [f"UPDATE companies SET name = 'Company {n}' WHERE id = {company}"]),
            (1, [f"UPDATE tags SET name = 'tag {n}' WHERE id = {tag}"]),
            (5, [f"INSERT INTO users_tags VALUES ({user}, {tag}) ON CONFLICT DO NOTHING"]),
            (5, [f"DELETE FROM users_tags WHERE user_id = {user} AND tag_id = {tag}"]),
            (2, ["SAVEPOINT one", f"DELETE FROM users WHERE id = {user}", "ROLLBACK TO SAVEPOINT one"]),
        ]
        (found,) = self.dice.choices([one for _, one in kinds], [weight for weight, _ in kinds])
        return found

    @staticmethod
    def _swapped(one: int, other: int) -> list[str]:
        if one == other:
            return []
        return [
            f"UPDATE users SET id = -{one} WHERE id = {one}",
            f"UPDATE users SET id = {one} WHERE id = {other}",
            f"UPDATE users SET id = {other} WHERE id = -{one}",
        ]


class Load:
    """Writers that keep up a rate of row changes, catching up after the database was away."""

    def __init__(self, url: str, rate: int, seed: int) -> None:
        self._url = url
        self._rate = rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._write, args=[Dice(seed * 100 + number)])
            for number in range(WRITERS)
        ]
        self.counts: Counter[str] = Counter()
        self.began = 0.0
        self.seconds = 0.0

    def start(self) -> None:
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self.began

    def _write(self, dice: Dice) -> None:
        while not self._stop.is_set():
            with (
                contextlib.suppress(psycopg.OperationalError, psycopg.InterfaceError),
                psycopg.connect(self._url, autocommit=True, connect_timeout=5) as connection,
            ):
                while not self._stop.is_set():
                    if self._ahead():
                        time.sleep(0.005)
                    else:
                        self._one(connection, dice)
            self._stop.wait(0.1)  # it was killed, or is coming up again

    def _ahead(self) -> bool:
        return self.counts["changes"] > self._rate * (time.monotonic() - self.began + 1)

    def _one(self, connection: psycopg.Connection[Any], dice: Dice) -> None:
        rows = 0
        ends = "rolled back" if dice.dice.random() < 0.07 else "committed"
        try:
            with connection.transaction(force_rollback=ends == "rolled back"):
                saved = 0
                for statement in dice.statements():
                    cursor = connection.execute(statement.encode())
                    rows += max(cursor.rowcount, 0)
                    if statement.startswith("SAVEPOINT"):
                        saved = rows
                    elif statement.startswith("ROLLBACK"):
                        rows = saved
        except psycopg.errors.IntegrityError:
            ends = "refused"
        except psycopg.errors.DeadlockDetected:
            ends = "deadlocks"
        with self._lock:
            self.counts[ends] += 1
            if ends == "committed":
                self.counts["changes"] += rows
