"""The journal as one SQL table. Offsets are one sequence over all partitions.

Its file is not the ledger's: both commit to disk for themselves, and no transaction spans them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from lockstep.database import Database, holding, insert, upsert
from lockstep.errors import StateError
from lockstep.journal.tables import entries, marks, meta, noted
from lockstep.journal.window import Window
from lockstep.values import Entry, FeedMark, Hint, Lane, Stream

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Hint, ...]).decode
_PAGE = 256
_NEXT = (  # made once: making a statement costs ten times what the database does with it
    sa.select(entries.c.offset, entries.c.partition, entries.c.origin, entries.c.hints, entries.c.body)
    .where(
        entries.c.stream == sa.bindparam("of"),
        entries.c.lane == sa.bindparam("on"),
        entries.c.offset > sa.bindparam("after"),
    )
    .order_by(entries.c.offset)
    .limit(_PAGE)
)


def encode_hints(hints: tuple[Hint, ...]) -> bytes:
    """Hints as they lie in a journal: msgpack.  FORMAT, version 1."""
    return _encode(hints)


def decode_hints(body: bytes) -> tuple[Hint, ...]:
    return _decode(body)


def _decoded(body: bytes) -> tuple[Hint, ...]:
    try:
        return decode_hints(body)
    except msgspec.MsgspecError as error:
        raise StateError(
            f"the journal holds hints that cannot be read ({error}): it is damaged",
            "Stop the run, move the journal away (journal.db with its -wal and -shm, or the schema) and "
            "start again: every key is then derived and compared with the target. Nothing is lost.",
        ) from error


class SqlJournal:
    """Implements `ports.Journal`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.window = Window(database)
        self._begun: dict[str, str] = {}
        """By source, the identity of the log whose beginning is noted."""
        with database.reading() as connection:
            known = noted(connection, "identity")
        if known is None:
            with database.writing() as connection:
                known = noted(connection, "identity") or uuid4().hex
                upsert(connection, meta, [{"name": "identity", "value": known}])
        self._identity = known

    @property
    def identity(self) -> str:
        return self._identity

    def pair(self, source: str) -> str | None:
        """What was last noted here and in the ledger, so that an older one of the two is known by it."""
        with self._database.reading() as connection:
            return noted(connection, f"pair:{source}")

    def note_pair(self, source: str, pair: str) -> None:
        with self._database.writing() as connection:
            upsert(connection, meta, [{"name": f"pair:{source}", "value": pair}])

    def keep_generations(self, found: Mapping[str, tuple[int, str]]) -> None:
        """Keeps each target's live build here too, its number and marker: a lost ledger would know none."""
        rows = [{"name": f"target:{one}", "value": f"{n} {marker}"} for one, (n, marker) in found.items()]
        with self._database.writing() as connection:
            upsert(connection, meta, rows)

    def kept_generation(self, target: str) -> tuple[int, str] | None:
        """The number and marker of a target's build, as they were last kept."""
        with self._database.reading() as connection:
            kept = noted(connection, f"target:{target}")
        if kept is None:
            return None
        number, _, marker = kept.partition(" ")
        return int(number), marker

    def append(self, entries_: Sequence[Entry], mark: FeedMark | None = None) -> None:
        now = time.time()
        rows = [
            {
                "stream": entry.stream,
                "lane": entry.lane.value,
                "partition": entry.partition,
                "origin": entry.origin,
                "hints": sum(len(hint.keys) or 1 for hint in entry.hints),
                "body": encode_hints(entry.hints),
                "at": now,
            }
            for entry in entries_
        ]
        with self._database.writing() as connection:
            if rows:
                insert(connection, entries, rows)
            if mark is not None:
                self._note_beginning(connection, mark)
                upsert(connection, marks, [msgspec.structs.asdict(mark)])
        if mark is not None:
            self._begun[mark.source] = mark.identity

    def _note_beginning(self, connection: sa.Connection, mark: FeedMark) -> None:
        """With the first mark of a source's log: from there on it is in the journal. Positions of another
        log, which was followed before, say nothing of this one."""
        if self._begun.get(mark.source) == mark.identity:
            return
        followed = sa.select(marks.c.identity).where(marks.c.source == mark.source)
        if connection.scalar(followed) != mark.identity:
            upsert(connection, meta, [{"name": f"began:{mark.source}", "value": mark.position}])

    def began(self, source: str) -> str | None:
        """The position at which following a source's log began; None where it is not known."""
        with self._database.reading() as connection:
            return noted(connection, f"began:{source}")

    def read(self, stream: Stream, lane: Lane, after: Mapping[int, int], limit: int) -> list[Entry]:
        found: list[Entry] = []
        hints = 0
        start = min(after.values(), default=0)
        while hints < limit:
            page = self._page(stream, lane, start)
            for row in page:
                start = row.offset
                if row.offset <= after.get(row.partition, 0):
                    continue
                found.append(
                    Entry(
                        stream,
                        lane,
                        row.partition,
                        _decoded(row.body),
                        row.origin or row.offset,
                        row.offset,
                    )
                )
                hints += row.hints
                if hints >= limit:
                    break
            if len(page) < _PAGE:
                break
        return found

    def _page(self, stream: Stream, lane: Lane, after: int) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        with self._database.reading() as connection:
            return connection.execute(_NEXT, {"of": stream, "on": lane.value, "after": after}).all()

    def mark(self, source: str) -> FeedMark | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(marks).where(marks.c.source == source)).first()
        return FeedMark(*row) if row else None

    def end(self) -> int:
        with self._database.writing() as connection:  # what was given must have been committed
            return self._database.given(connection, entries.c.offset)

    def naming(self, streams: Sequence[Stream], keys: Sequence[bytes]) -> Iterator[tuple[float, Entry]]:
        """The entries of some streams that name one of some keys, with when they were appended, the newest
        first. They may come with others: what looks like a key may be another hint's."""
        columns = [
            entries.c[name] for name in ("at", "stream", "lane", "partition", "body", "origin", "offset")
        ]
        statement = (
            sa.select(*columns)
            .where(entries.c.stream.in_(streams))
            .order_by(entries.c.offset.desc())
            .limit(_PAGE)
        )
        before: int | None = None
        while True:
            with self._database.reading() as connection:
                named = sa.or_(*(holding(connection, entries.c.body, key) for key in keys))
                page = statement.where(named)
                if before is not None:
                    page = page.where(entries.c.offset < before)
                rows = connection.execute(page).all()
            for row in rows:
                hints = _decoded(row.body)
                lane = Lane(row.lane)
                yield row.at, Entry(row.stream, lane, row.partition, hints, row.origin, row.offset)
            if len(rows) < _PAGE:
                return
            before = rows[-1].offset

    def waiting(self, stream: Stream, lane: Lane, after: int, origin: int | None = None) -> int:
        """How many hints of a stream's lane lie after an offset; those that stem from up to `origin`."""
        statement = sa.select(sa.func.coalesce(sa.func.sum(entries.c.hints), 0)).where(
            entries.c.stream == stream, entries.c.lane == lane.value, entries.c.offset > after
        )
        if origin is not None:
            born = sa.case((entries.c.origin == 0, entries.c.offset), else_=entries.c.origin)
            statement = statement.where(born <= origin)
        with self._database.reading() as connection:
            return int(connection.scalar(statement) or 0)

    def oldest(self, stream: Stream, lane: Lane, after: int) -> float | None:
        """When the first entry of a stream's lane after an offset was appended; None where there is none."""
        statement = (
            sa.select(entries.c.at)
            .where(entries.c.stream == stream, entries.c.lane == lane.value, entries.c.offset > after)
            .order_by(entries.c.offset)
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.scalar(statement)

    def before(self, time: float) -> int | None:
        """The newest offset that was appended before a time; None where there is none."""
        statement = sa.select(entries.c.offset).where(entries.c.at < time).order_by(entries.c.offset.desc())
        with self._database.reading() as connection:
            return connection.scalar(statement.limit(1))

    def trim(self, stream: Stream, lane: Lane, upto: int, before: float) -> int:
        old = sa.and_(
            entries.c.stream == stream,
            entries.c.lane == lane.value,
            entries.c.offset <= upto,
            entries.c.at < before,
        )
        newest = sa.select(sa.func.max(entries.c.offset), sa.func.max(entries.c.at)).where(old)
        with self._database.writing() as connection:
            offset, at = connection.execute(newest).one()
            if offset is None:
                return 0
            self.window.note_trimmed(connection, stream, offset, at)
            return connection.execute(entries.delete().where(old)).rowcount

    def close(self) -> None:
        self._database.close()
