"""The small product in PostgreSQL, with something between it and the run that may be cut.

An accident happens while the run is stopped, or while it runs and is cut off; then the changes of `LOST` are
made where its log does not say so. Only a full pass that trusts the target alone heals what follows.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.following.replication import Stream
from lockstep.testing.proxy import Proxy
from tests.pairs.world import SCHEMA, Following, World, until

LOST = (
    "UPDATE users SET email = 'Lost@example.com' WHERE id = 3",
    "DELETE FROM users WHERE id = 4",
    "UPDATE companies SET name = 'Lost and found' WHERE id = 2",
    "INSERT INTO users VALUES (1001, 1, 'New@example.com')",
)


RUNNING = pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])


def said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    """Whether it was said loudly: as a warning at least, which is on everybody's screen."""
    return any(
        record.levelno >= logging.WARNING and re.search(words, record.getMessage())
        for record in list(caplog.records)
    )


class Product(World):
    """`server` is where the database is now; the run goes there by way of `proxy`."""

    def __init__(self, root: Path, url: str, *, filled: bool = True) -> None:
        at = conninfo_to_dict(url)
        self.direct = url
        self.proxy = Proxy(str(at["host"]), int(str(at["port"])))
        super().__init__(
            root, url.replace(f":{at['port']}/", f":{self.proxy.port}/"), f"sql|{root / 'out'}|people"
        )
        self.slot = str(at["dbname"])
        if filled:
            self.do(*SCHEMA.strip().rstrip(";").split(";"))

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.direct, autocommit=True)

    def ask(self, query: str, *given: Any) -> Any:
        """The one value of a query, None where there is no row."""
        with self.connect() as connection:
            row = connection.execute(query.encode(), given or None).fetchone()
        return row and row[0]

    def moves_to(self, url: str) -> None:
        """The same name leads to another server from now on."""
        at = conninfo_to_dict(url)
        self.direct = url
        self.proxy.leads_to(str(at["host"]), int(str(at["port"])))

    def spoil(self) -> None:
        """Somebody writes to the target behind our back: only who looks there can see it."""
        with contextlib.closing(sqlite3.connect(self.root / "out")) as connection, connection:
            connection.execute("UPDATE people SET email = 'spoilt' WHERE id = 7")

    def agrees(self) -> bool:
        return self.actual_or_none() == self.expected()

    def backfill_reasons(self) -> list[str]:
        """Why all keys were derived, each time, oldest first."""
        with contextlib.closing(sqlite3.connect(self.root / "state" / "ledger.db")) as connection:
            return [reason for (reason,) in connection.execute("SELECT reason FROM backfills ORDER BY id")]

    @contextlib.contextmanager
    def cut_off(self, *, running: bool, lost: Sequence[str] = LOST) -> Iterator[None]:
        """While the run is stopped, or runs and cannot reach the server: what the block does, and `lost`.

        Afterwards the target is as the source again.
        """
        if not running:
            self.run()
            self.spoil()
            yield
            self.do(*lost)
            self.run()
            self.assert_agreement()
            return
        with Following(self):
            until(lambda: len(self.actual_or_none()) == 60)
            self.do("UPDATE users SET email = 'Seen@example.com' WHERE id = 5")
            until(self.agrees)
            self.proxy.refuse()
            self.proxy.cut()
            active = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
            until(lambda: not self.ask(active, self.slot))
            self.spoil()
            yield
            self.do(*lost)
            self.proxy.accept()
            until(self.agrees, 60)
        self.assert_agreement()

    def thief(self) -> Stream:
        """Another process that follows our slot."""
        thief = Stream(Address(self.direct))
        thief.start(self.slot, "0/0", "lockstep")
        return thief

    def close(self) -> None:
        self.proxy.close()
