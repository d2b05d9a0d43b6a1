"""A database of one's own for a test, with a source on it, and its feed as the engine uses it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from lockstep.forms import keys
from lockstep.ports import Capture, Caught, Feed, Reader
from lockstep.systems.postgres import Postgres
from lockstep.values import FeedMark, Fetch, Hint, Table

PATIENCE = 60.0


class Db:
    """`app` is the application's connection, one statement a transaction. Closes all that it opened."""

    def __init__(self, url: str, *ddl: str) -> None:
        self.url = url
        self.name = str(conninfo_to_dict(url)["dbname"])
        self._opened = contextlib.ExitStack()
        self.app = self._opened.enter_context(psycopg.connect(url, autocommit=True))
        self.source = Postgres(url, slot=self.name, publication="lockstep")
        self.execute(*ddl)

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.app.execute(statement.encode())

    def ask(self, query: str) -> Any:
        """The one value of a query."""
        row = self.app.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    def connect(self) -> psycopg.Connection[Any]:
        """Another session, in transactions."""
        connection = psycopg.connect(self.url)
        self._opened.callback(connection.close)
        return connection

    def reader(self) -> Reader:
        return self._opened.enter_context(contextlib.closing(self.source.reader()))

    def follow(self, *tables: Table, mark: FeedMark | None = None) -> Follower:
        """A new feed, prepared."""
        return self._opened.enter_context(contextlib.closing(Follower(self, tables, mark)))

    def read(self, table: str, columns: str, by: str, *values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        fetch = Fetch(table, tuple(columns.split()), tuple(by.split()))
        with contextlib.closing(self.source.reader()) as reader, reader.snapshot() as snapshot:
            return snapshot.rows(fetch, values)

    def __enter__(self) -> Db:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


class Follower:
    """A feed from `prepare` on; remembers where it is, and acknowledges only when told."""

    def __init__(self, db: Db, tables: Sequence[Table], mark: FeedMark | None = None) -> None:
        self.db = db
        self.feed: Feed = db.source.feed()
        try:
            self.capture: Capture = self.feed.prepare(tables, mark)
        except BaseException:
            self.feed.close()
            raise
        self.position = self.capture.position

    @property
    def mark(self) -> FeedMark:
        return FeedMark(self.db.source.name, self.position, self.capture.identity)

    @contextlib.contextmanager
    def open(self) -> Iterator[Iterator[Caught]]:
        """The stream of what is caught, ended when the block ends."""
        stream = self.feed.follow(self.position)
        with contextlib.closing(stream):  # type: ignore[type-var]
            yield stream

    def stretches(self) -> list[Caught]:
        """What is caught up to the end of the log as it is now."""
        goal = self.feed.reached()
        found: list[Caught] = []
        with self.open() as stream:
            for caught in patiently(stream):
                found.append(caught)
                if caught.position is not None:
                    self.position = caught.position
                    if self.feed.passed(caught.position, goal):
                        break
        return found

    def catch(self) -> list[Hint]:
        return [hint for caught in self.stretches() for hint in caught.hints]

    def keep(self) -> FeedMark:
        """Acknowledges what was caught, and waits until the server knows."""
        self.feed.acknowledge(self.position)
        with self.open() as stream:
            wait_until(lambda: self.feed.lag().position == self.position, between=lambda: next(stream))
        return self.mark

    def close(self) -> None:
        self.feed.close()


def patiently(stream: Iterator[Caught]) -> Iterator[Caught]:
    until = time.monotonic() + PATIENCE
    for caught in stream:
        yield caught
        assert time.monotonic() < until, "what is waited for does not come"


def wait_until(condition: Callable[[], bool], *, between: Callable[[], object] | None = None) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "what is waited for does not happen"
        if between is not None:
            between()
        else:
            time.sleep(0.01)


def told(hints: Iterable[Hint]) -> list[tuple[Any, ...]]:
    """Hints as (table without schema, key values, joins before, joins after); ("…", reason) for spans."""
    return [
        (hint.table.partition(".")[2], hint.reason)
        if hint.key is None
        else (hint.table.partition(".")[2], keys.decode(hint.key), plain(hint.before), plain(hint.after))
        for hint in hints
    ]


def plain(joins: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if joins is None else {name: keys.decode_one(value) for name, value in joins.items()}


def table(name: str, columns: str, key: str = "id", joins: str = "") -> Table:
    return Table(f"public.{name}", tuple(columns.split()), tuple(key.split()), tuple(joins.split()))
