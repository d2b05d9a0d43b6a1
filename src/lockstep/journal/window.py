"""A stretch of the journal: what a redrive hints again, each thing once.

A million hints of ten thousand keys are read as they lie, and decoded no further than it takes to tell them
apart: what is gathered is bounded, and so is what is held of the stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import Database, upsert
from lockstep.journal.tables import entries, meta
from lockstep.values import Hint, Key, Lane, Stream

MOST = 200_000
"""Distinct things that are gathered at once. Beyond, what comes again is hinted again, and collapses."""

_PAGE = 512


class Trimmed(Struct, frozen=True):
    """Up to which offset a stream was forgotten, and when the newest entry of that was appended."""

    offset: int
    at: float


class Gathered(Struct):
    """What a stretch named: `keys` of the root, `related` hints of other tables, or (`whole`) all of the
    root. `hints` is how many it was made of."""

    keys: set[Key]
    related: dict[bytes, Hint]
    whole: bool = False
    hints: int = 0

    @property
    def full(self) -> bool:
        return len(self.keys) + len(self.related) >= MOST


class _Named(Struct, frozen=True, array_like=True):
    """The first fields of a `Hint`: enough to know a key of a root."""

    table: str
    key: Key | None = None
    keys: tuple[Key, ...] = ()
    span: object = None


_named = msgspec.msgpack.Decoder(list[_Named]).decode
_hints = msgspec.msgpack.Decoder(tuple[Hint, ...]).decode
_encoded = msgspec.msgpack.Encoder(order="deterministic").encode


class Window:
    """A journal's past, as far as it is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note_trimmed(self, connection: sa.Connection, stream: Stream, offset: int, at: float) -> None:
        """What is about to be forgotten, in the transaction that forgets it."""
        upsert(connection, meta, [{"name": f"trimmed:{stream}", "value": f"{offset} {at!r}"}])

    def trimmed(self, stream: Stream) -> Trimmed | None:
        """How much of a stream is forgotten; None where it is whole."""
        with self._database.reading() as connection:
            noted = connection.scalar(sa.select(meta.c.value).where(meta.c.name == f"trimmed:{stream}"))
        if noted is None:
            return None
        offset, _, at = str(noted).partition(" ")
        return Trimmed(int(offset), float(at))

    def since(self, at: float) -> int:
        """The offset before the first entry that was appended at a time or later. Where a clock was set back
        in between, it is the earlier one."""
        query = sa.select(sa.func.min(entries.c.offset)).where(entries.c.at >= at)
        with self._database.reading() as connection:
            first = connection.scalar(query)
            return int(first) - 1 if first is not None else self._end(connection)

    def until(self, at: float) -> int:
        """The offset of the last entry that was appended up to a time."""
        query = sa.select(sa.func.max(entries.c.offset)).where(entries.c.at <= at)
        with self._database.reading() as connection:
            return int(connection.scalar(query) or 0)

    def _end(self, connection: sa.Connection) -> int:
        return int(connection.scalar(sa.select(sa.func.max(entries.c.offset))) or 0)

    def holds_before(self, stream: Stream, offset: int) -> bool:
        """Whether something of a stream is kept that lies at an offset, or before it."""
        query = sa.select(entries.c.offset).where(entries.c.stream == stream, entries.c.offset <= offset)
        with self._database.reading() as connection:
            return connection.scalar(query.limit(1)) is not None

    def at_position(self, stream: Stream, passed: Callable[[str], bool]) -> int | None:
        """The first offset whose hints lie at a position of the source's log that has passed what is looked
        for; None where none has."""
        for lane in Lane:
            for page in self._bodies(stream, lane, 0, None):
                for offset, body in page:
                    positions = {hint.position for hint in _hints(body)}
                    if any(position is not None and passed(position) for position in positions):
                        return offset
        return None

    def gather(
        self, stream: Stream, root: str, concerns: Callable[[str], bool], after: int, upto: int
    ) -> Iterator[Gathered]:
        """What a source's stream named between two offsets of the root's table and of those that concern it,
        in parts of about `MOST` at most. After one that is `whole` nothing more comes."""
        found = Gathered(set(), {})
        for lane in Lane:
            for page in self._bodies(stream, lane, after, upto):
                for _, body in page:
                    if _add(found, body, root, concerns):
                        yield Gathered(set(), {}, True, found.hints)
                        return
                if found.full:
                    yield found
                    found = Gathered(set(), {})
        yield found

    def _bodies(
        self, stream: Stream, lane: Lane, after: int, upto: int | None
    ) -> Iterator[list[tuple[int, bytes]]]:
        query = sa.select(entries.c.offset, entries.c.body).where(
            entries.c.stream == stream, entries.c.lane == lane.value
        )
        if upto is not None:
            query = query.where(entries.c.offset <= upto)
        query = query.order_by(entries.c.offset).limit(_PAGE)
        while True:
            with self._database.reading() as connection:
                page = connection.execute(query.where(entries.c.offset > after)).all()
            if page:
                yield [(row.offset, row.body) for row in page]
                after = page[-1].offset
            if len(page) < _PAGE:
                return


def _add(found: Gathered, body: bytes, root: str, concerns: Callable[[str], bool]) -> bool:
    """Adds what an entry names; True where it is everything."""
    hints: tuple[Hint, ...] | None = None
    named = _named(body)
    if not concerns(root) and all(one.table == root and one.key is not None for one in named):
        found.hints += len(named)  # nearly always: half the time of the way below
        found.keys.update([one.key for one in named if one.key is not None])
        return False
    for at, one in enumerate(named):
        mine, hangs_on = one.table == root, concerns(one.table)
        if not mine and not hangs_on:
            continue
        found.hints += len(one.keys) or 1
        if one.span is not None:
            return True
        if not hangs_on:
            found.keys.update(one.keys or (() if one.key is None else (one.key,)))
        else:  # of a table that is the root's as well, it names both
            hints = hints or _hints(body)
            hint = hints[at]
            found.related.setdefault(_encoded((hint.table, hint.key, hint.before, hint.after)), hint)
    return False
