"""One walk along the log: what a look at the database finds, and where that leaves us."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

from lockstep.errors import Unreachable
from lockstep.systems.sqlite import install
from lockstep.systems.sqlite.changes import Decoder, decoder
from lockstep.systems.sqlite.position import Place
from lockstep.systems.sqlite.triggers import LOG, MARKER
from lockstep.systems.sqlite.walk import lenient_text
from lockstep.values import EVERYTHING, Hint

BATCH = 5000


class Follower:
    """`announced`: the markers up to this change were told by `prepare`. `identity`: of the log.

    `behind` is set while a further look may find more without a further commit.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        wanted: Mapping[str, install.Wanted],
        place: Place,
        announced: int,
        identity: str,
    ) -> None:
        connection.text_factory = lenient_text
        self._connection = connection
        self._wanted = wanted
        self.place = place
        self.behind = True
        self._announced = announced
        self._identity = identity
        self._version: object = None
        self._schema: object = None
        self._decoders: dict[int, Decoder | None] = {}
        self._missing: set[str] = set()

    def look(self) -> list[Hint]:
        """The next hints. Costs nothing while nobody else commits."""
        version = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._version and not self.behind:
            return []
        schema = self._connection.execute("PRAGMA schema_version").fetchone()
        hints = [] if schema == self._schema else self._reinstall()
        hints += self._read()
        # Only a look that found the schema as it was, and not even a full batch, has seen everything.
        self.behind = self.behind or schema != self._schema
        self._version, self._schema = version, schema
        return hints

    def _reinstall(self) -> list[Hint]:
        """Makes triggers anew where a table changed; a marker in the log hints it.

        A table that went has no log any more, so it is hinted here. Raises Unreachable where the log was
        taken out: another one stands in its place, which counts from the beginning.
        """
        install.install(self._connection, self._wanted.values(), missing_ok=True)
        if install.identity(self._connection) != self._identity:
            raise Unreachable(
                f"the capture log {LOG}, or its identity, was taken out while it was followed",
                "Lockstep has made it anew, and compares everything by itself.",
            )
        there = {
            name
            for (name,) in self._connection.execute(
                "SELECT lower(name) FROM sqlite_master WHERE type = 'table'"
            )
        }
        gone = self._wanted.keys() - there
        new = sorted(gone - self._missing)
        self._missing = set(gone)
        now = time.time()
        return [
            Hint(self._wanted[name].table, span=EVERYTHING, reason="table dropped", at=now) for name in new
        ]

    def _read(self) -> list[Hint]:
        width = max((len(one.columns) for one in self._wanted.values()), default=0)
        width = max([width, *(len(one.columns) for one in self._decoders.values() if one is not None)])
        columns = "".join(f", {side}{at}" for side in "ba" for at in range(width))
        rows = self._connection.execute(
            f"SELECT layout, n, token, at, operation{columns} FROM {LOG}"
            f" WHERE n > ? ORDER BY n LIMIT {BATCH}",
            (self.place.n,),
        ).fetchall()
        self.behind = len(rows) == BATCH
        if any(row[0] not in self._decoders for row in rows):
            self._load()
            return self._read()  # now it is known how many columns there are
        hints: list[Hint] = []
        for layout, *change in rows:
            one = self._decoders[layout]
            if one is None or (change[3] == MARKER and change[0] <= self._announced):
                continue
            own = len(one.columns)
            if own < width:
                change = change[: 4 + own] + change[4 + width : 4 + width + own]
            hints += one.hints(change)
        if rows:
            self.place = Place(rows[-1][1], rows[-1][2])
        return hints

    def _load(self) -> None:
        """Every layout there is; None for the log's first row and for tables that are not asked for."""
        self._decoders = {0: None}
        for number, layout in install.layouts(self._connection).items():
            wanted = self._wanted.get(layout.wanted.table.lower())
            self._decoders[number] = None if wanted is None else decoder(layout, wanted.joins)
