"""Whatever an application may do, transactions that overlap, crashes, meddling: in the end they agree."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lockstep.database.files import FileDatabase
from lockstep.engine.points import POINTS
from lockstep.journal.sql import SqlJournal
from lockstep.journal.tables import migrations
from lockstep.values import Lane, Stream, source_stream
from tests.model.agreed import assert_agreed, assert_records
from tests.model.statements import ROWS, spoils, statements, swaps
from tests.support.world import World

CONNECTIONS = 4
_ERRORS = (psycopg.Error, sqlite3.Error)
_which = st.integers(0, CONNECTIONS - 1)


class Session:
    """One connection of the application: a transaction with savepoints, open as long as it likes."""

    def __init__(self, world: World) -> None:
        self._stack = contextlib.ExitStack()
        self._connection: Any = self._stack.enter_context(world.writing())
        self.saved = 0
        self.open = False

    def execute(self, statement: str) -> None:
        """In the open transaction, or in one begun with it. What fails is rolled back."""
        if not self.open:
            self._connection.execute("BEGIN IMMEDIATE")
            self.open = True
        try:
            self._connection.execute(statement)
        except _ERRORS:
            self.back()

    def save(self) -> None:
        if self.open:
            self.saved += 1
            self._connection.execute(f"SAVEPOINT s{self.saved}")

    def back(self) -> None:
        """To the newest savepoint, or out of the transaction."""
        if self.saved:
            self._connection.execute(f"ROLLBACK TO SAVEPOINT s{self.saved}")
        else:
            self.end("ROLLBACK")

    def end(self, how: str) -> None:
        if self.open:
            self._connection.execute(how)
        self.open, self.saved = False, 0

    def close(self) -> None:
        self.end("ROLLBACK")
        self._stack.close()


class Machine(RuleBasedStateMachine):
    """The rules. A subclass says which world."""

    concurrent: ClassVar[bool]
    statements: ClassVar[st.SearchStrategy[str]] = statements

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="lockstep-model-"))
        self.world = self.new(self.root)
        self.sessions: dict[int, Session] = {}

    @initialize()
    def begin(self) -> None:
        """Capture begins while no transaction is open, as it would wait for it to end."""
        session = self._session(0)
        for statement in ROWS:
            session.execute(statement)
        session.end("COMMIT")
        self.world.run()

    # What the application does

    @rule(which=_which, some=st.data(), count=st.integers(1, 6), commit=st.booleans())
    def change(self, which: int, some: st.DataObject, count: int, commit: bool) -> None:
        for _ in range(count):
            self._session(which).execute(some.draw(self.statements))
        if commit:
            self._session(which).end("COMMIT")

    @rule(some=st.data(), count=st.integers(1, 3))
    def change_and_look(self, some: st.DataObject, count: int) -> None:
        """Little at a time, so that nothing else brings up what one change should have."""
        self.change(0, some, count, True)
        self.run()

    @rule(which=_which, some=swaps)
    def swap(self, which: int, some: list[str]) -> None:
        for statement in some:
            self._session(which).execute(statement)

    @rule(which=_which)
    def save(self, which: int) -> None:
        self._session(which).save()

    @rule(which=_which)
    def back(self, which: int) -> None:
        session = self._session(which)
        if session.open:
            session.back()

    @rule(which=_which)
    def commit(self, which: int) -> None:
        self._session(which).end("COMMIT")

    @rule(which=_which)
    def roll_back(self, which: int) -> None:
        self._session(which).end("ROLLBACK")

    @precondition(lambda self: self.concurrent)
    @rule(table=st.sampled_from(["messages", "users_tags", "users", "companies"]))
    def truncate(self, table: str) -> None:
        """In a transaction of its own: an open one would keep every reader waiting."""
        with contextlib.suppress(*_ERRORS), self.world.writing() as connection:
            connection.execute(f"TRUNCATE {table}")

    # What happens to Lockstep

    @rule()
    def run(self) -> None:
        """What is committed by now is in the targets, whatever is still open."""
        self._quiet()
        self.world.run()
        assert_records(self.world)

    @rule(point=st.sampled_from(sorted(POINTS)), passing=st.integers(1, 3))
    def die(self, point: str, passing: int) -> None:
        self._quiet()
        self.world.dies(f"{point}:{passing}")

    @rule(some=st.data(), point=st.sampled_from(sorted(POINTS)))
    def change_and_die_and_look(self, some: st.DataObject, point: str) -> None:
        self.change(0, some, 3, True)
        self._quiet()
        self.world.dies(f"{point}:1")
        self.run()

    @rule(
        some=st.lists(statements, min_size=1, max_size=6),
        point=st.sampled_from(
            ["written:1", "written:1", "written:2", "intended:1", "settled:1", "appended:1"]
        ),
    )
    def die_and_take_it_back(self, some: list[str], point: str) -> None:
        """A change, a crash while it is worked, and the application makes everything as it was before."""
        for session in self.sessions.values():
            session.end("COMMIT")
        before = self._rows()
        with self.world.writing() as connection:
            for statement in some:
                with contextlib.suppress(*_ERRORS):
                    connection.execute(statement)
        self.world.dies(point)
        with contextlib.suppress(*_ERRORS), self.world.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in before.items():
                connection.execute(f"DELETE FROM {table}")
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)
            connection.execute("COMMIT")
        self.world.run()
        assert_records(self.world)

    @rule(which=st.lists(st.integers(0, 999), max_size=3))
    def hints_come_twice(self, which: list[int]) -> None:
        journal = SqlJournal(FileDatabase(self.world.root / "state" / "journal.db", migrations))
        source = self.world.pipeline().named("people").source.name
        for stream in (source_stream(source), Stream("consumer:1"), Stream("consumer:2")):
            for lane in Lane:
                entries = journal.read(stream, lane, {}, 1_000)
                if entries:
                    journal.append([entries[one % len(entries)] for one in which])
        journal.close()

    @rule(by=st.integers(1, 30))
    def positions_are_set_back(self, by: int) -> None:
        self.world.spoil_state(f'UPDATE positions SET "offset" = max(0, "offset" - {by})')

    @rule(edit=spoils)
    def spoil_and_repair(self, edit: str) -> None:
        """The target is edited behind our back, and then compared with what it should hold.

        That would mend what other steps broke: so it is looked at before.
        """
        self.run()
        with contextlib.suppress(sqlite3.OperationalError):  # a crash may have come before its tables
            self.world.spoil(edit)
        self.world.repair()

    def teardown(self) -> None:
        try:
            for at, session in self.sessions.items():
                session.end("COMMIT" if at % 2 else "ROLLBACK")
            self.world.run()
            assert_agreed(self.world)
        finally:
            for session in self.sessions.values():
                session.close()
            shutil.rmtree(self.root, ignore_errors=True)
            self.dispose()

    def new(self, root: Path) -> World:
        raise NotImplementedError

    def dispose(self) -> None:
        """Gives back what the world was made of."""

    def _session(self, which: int) -> Session:
        which = which if self.concurrent else 0
        if which not in self.sessions:
            self.sessions[which] = Session(self.world)
        return self.sessions[which]

    def _rows(self) -> dict[str, list[tuple[Any, ...]]]:
        with self.world.writing() as connection:
            return {
                table: connection.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("companies", "users", "tags", "users_tags", "conversations", "messages")
            }

    def _quiet(self) -> None:
        """A source with one writer at a time has no open transaction while a run writes in it."""
        if not self.concurrent:
            self._session(0).end("COMMIT")
