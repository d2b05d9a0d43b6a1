"""Anything an application may do, any crash, any meddling: in the end source and target agree.

Random steps over a real SQLite source and SQLite targets, checked by `verify` and by brute force. The seed
is in the test's name; a failing one is repeated with that name.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lockstep.engine.points import POINTS
from lockstep.journal.sql import SqlJournal
from lockstep.values import Lane, Stream, source_stream
from tests.support.world import World

KEYS = range(1, 9)


class Chaos:
    """Random steps. Each is one statement or a few; `log` tells what was done."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.log: list[str] = []
        self.count = 0

    def some(self) -> int:
        return self.dice.choice(KEYS)

    def maybe(self) -> int | str:
        choices: list[int | str] = [*KEYS, "NULL"]
        return self.dice.choice(choices)

    def address(self) -> str:
        """Addresses of a user are its own, so that brute force knows who owns them; see test_claims."""
        self.count += 1
        return self.dice.choice(["nobody", f"a{self.count}", f"b{self.count},c{self.count}", ""])

    def statement(self) -> str:
        some, maybe = self.some, self.maybe
        word = self.dice.choice(["", "x", "雪", "O''Hara", "nul", "long " * 50]) + str(self.count)
        table = self.dice.choice(["companies", "users", "tags", "users_tags", "conversations", "messages"])
        return self.dice.choice(
            {
                "companies": [
                    f"INSERT OR REPLACE INTO companies VALUES ({some()}, '{word}')",
                    f"UPDATE companies SET name = '{word}' WHERE id = {some()}",
                    f"UPDATE OR IGNORE companies SET id = {some()} WHERE id = {some()}",
                    f"DELETE FROM companies WHERE id = {some()}",
                ],
                "users": [
                    f"INSERT OR REPLACE INTO users VALUES"
                    f" ({some()}, {maybe()}, {maybe()}, '{self.address()}', 0)",
                    f"UPDATE users SET company_id = {maybe()} WHERE id = {some()}",
                    f"UPDATE users SET company_id = {maybe()} WHERE company_id = {some()}",
                    f"UPDATE users SET manager_id = {maybe()} WHERE id = {some()}",
                    f"UPDATE users SET email = '{self.address()}' WHERE id = {some()}",
                    "UPDATE users SET last_seen = last_seen + 1",
                    f"UPDATE OR REPLACE users SET id = {some()} WHERE id = {some()}",
                    f"DELETE FROM users WHERE id = {some()}",
                ],
                "tags": [
                    f"INSERT OR REPLACE INTO tags VALUES ({some()}, '{word}')",
                    f"DELETE FROM tags WHERE id = {some()}",
                ],
                "users_tags": [
                    f"INSERT OR REPLACE INTO users_tags VALUES ({some()}, {some()})",
                    f"UPDATE OR REPLACE users_tags SET user_id = {some()} WHERE tag_id = {some()}",
                    f"UPDATE OR IGNORE users_tags SET tag_id = {some()} WHERE user_id = {some()}",
                    f"DELETE FROM users_tags WHERE user_id = {some()}",
                ],
                "conversations": [
                    f"INSERT OR REPLACE INTO conversations VALUES ({some()}, {some()}, '{word}')",
                    f"UPDATE conversations SET user_id = {some()} WHERE id = {some()}",
                    f"DELETE FROM conversations WHERE user_id = {some()}",
                ],
                "messages": [
                    f"INSERT OR REPLACE INTO messages VALUES ({some()}, {some()}, '{word}')",
                    f"UPDATE messages SET conversation_id = {some()} WHERE conversation_id = {some()}",
                    f"UPDATE OR REPLACE messages SET id = {some()} WHERE id = {some()}",
                    f"DELETE FROM messages WHERE id = {some()}",
                ],
            }[table]
        )

    def transaction(self) -> None:
        statements = []
        for _ in range(self.dice.choice([1, 1, 2, 5, 12])):
            self.count += 1
            statements.append(self.statement())
        ends = self.dice.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])
        self.log.append("; ".join([*statements, ends]))
        with self.world.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute(ends)

    def run(self) -> None:
        self.log.append("run")
        self.world.run()

    def die(self) -> None:
        spec = f"{self.dice.choice(list(POINTS))}:{self.dice.choice([1, 1, 2, 3])}"
        self.log.append(f"die at {spec}")
        self.world.dies(spec)

    def double(self) -> None:
        """What the journal holds comes a second time."""
        path = self.world.root / "state" / "journal.db"
        if not path.exists():
            return
        self.log.append("hints come twice")
        journal = SqlJournal(path)
        streams = [source_stream(f"sqlite:{self.world.app}"), Stream("consumer:1"), Stream("consumer:2")]
        for stream in streams:
            for lane in Lane:
                entries = journal.read(stream, lane, {}, 1_000)
                journal.append(self.dice.sample(entries, min(len(entries), 3)))
        journal.close()

    def spoil(self) -> None:
        if not self.world.out.exists():
            return
        edit = self.dice.choice(
            [
                "UPDATE people SET email = 'spoilt'",
                f"DELETE FROM people WHERE id = {self.some()}",
                "DELETE FROM addresses",
                "UPDATE addresses SET company = 'spoilt', user = 77",
                f"UPDATE people SET tags = '[]' WHERE id < {self.some()}",
            ]
        )
        self.log.append(f"{edit}; repair")
        try:
            self.world.spoil(edit)
        except sqlite3.OperationalError:
            return  # died before the table was made
        self.world.run()
        self.world.repair()

    def step(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (self.transaction, 12),
            (self.run, 3),
            (self.die, 3),
            (self.double, 1),
            (self.spoil, 1),
        ]
        (one,) = self.dice.choices([step for step, _ in steps], [weight for _, weight in steps])
        one()


@pytest.mark.parametrize("seed", range(8))
def test_in_the_end_they_agree(tmp_path: Path, seed: int) -> None:
    chaos = Chaos(World(tmp_path), seed)
    try:
        for _ in range(25):
            chaos.step()
        chaos.run()
        chaos.world.assert_agreement()
    except BaseException:
        print(f"seed {seed}:", *chaos.log, sep="\n  ")  # noqa: T201 - the story of the failure
        raise
