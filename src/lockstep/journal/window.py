"""A stretch of the journal: what a redrive hints again, each thing once.

A million hints of ten thousand keys are read as they lie, and decoded no further than it takes to tell them
apart. Only what is distinct is kept, and beyond a bound on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import Database, upsert
from lockstep.journal.distinct import Distinct
from lockstep.journal.tables import entries, meta, noted
from lockstep.values import Hint, Key, Lane, Span, Stream, Trust

_PAGE = 512


class Trimmed(Struct, frozen=True):
    """Up to which offset a stream was forgotten, and when the newest entry of that was appended."""

    offset: int
    at: float


class Gathered:
    """What a stretch named: `keys` of the root, `related` hints of other tables (encoded: `again` makes
    them), or (`whole`) all of the root. `hints` is how many it was made of. To be closed."""

    def __init__(self) -> None:
        self.keys = Distinct()
        self.related = Distinct()
        self.whole = False
        self.hints = 0

    def close(self) -> None:
        self.keys.close()
        self.related.close()


class _Named(Struct, frozen=True, array_like=True, gc=False):
    """The first fields of a `Hint`: enough to know a key of a root."""

    table: str
    key: Key | None = None
    keys: tuple[Key, ...] = ()
    span: Span | None = None


_named = msgspec.msgpack.Decoder(list[_Named]).decode
_hints = msgspec.msgpack.Decoder(tuple[Hint, ...]).decode
_hint = msgspec.msgpack.Decoder(Hint).decode
_encoded = msgspec.msgpack.Encoder(order="deterministic").encode


def again(related: bytes, at: float) -> Hint:
    """The hint of a related row that is to be hinted again, at a time."""
    return msgspec.structs.replace(_hint(related), at=at)


class Window:
    """A journal's past, as far as it is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note_trimmed(self, connection: sa.Connection, stream: Stream, offset: int, at: float) -> None:
        """What is about to be forgotten, in the transaction that forgets it."""
        known = _trimmed(connection, stream) or Trimmed(0, 0.0)  # lanes are trimmed each for itself
        value = f"{max(offset, known.offset)} {max(at, known.at)!r}"
        upsert(connection, meta, [{"name": f"trimmed:{stream}", "value": value}])

    def trimmed(self, stream: Stream) -> Trimmed | None:
        """How much of a stream is forgotten; None where it is whole."""
        with self._database.reading() as connection:
            return _trimmed(connection, stream)

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

    def holds_between(self, stream: Stream, after: int, upto: int) -> bool:
        """Whether something of a stream is kept between two offsets: after the first, up to the second."""
        query = sa.select(entries.c.offset).where(
            entries.c.stream == stream, entries.c.offset > after, entries.c.offset <= upto
        )
        with self._database.reading() as connection:
            return connection.scalar(query.limit(1)) is not None

    def first_at(self, stream: Stream, passed: Callable[[str], bool]) -> int | None:
        """The first offset with a hint at a position that has `passed` what is looked for; None where none
        has."""
        return next(self._at(stream, passed, newest_first=False), None)

    def last_at(self, stream: Stream, within: Callable[[str], bool]) -> int:
        """The last offset with a hint at a position that lies `within` what is looked for; 0 where none does.
        One append may lie there in several entries, whose positions overlap."""
        return next(self._at(stream, within, newest_first=True), 0)

    def _at(self, stream: Stream, wanted: Callable[[str], bool], *, newest_first: bool) -> Iterator[int]:
        column = entries.c.offset
        query = sa.select(column, entries.c.body).where(entries.c.stream == stream).limit(_PAGE)
        query = query.order_by(column.desc() if newest_first else column)
        come: int | None = None
        while True:
            rest = query
            if come is not None:
                rest = query.where(column < come if newest_first else column > come)
            with self._database.reading() as connection:
                page = connection.execute(rest).all()
            for offset, body in page:
                positions = {hint.position for hint in _hints(body)}
                if any(position is not None and wanted(position) for position in positions):
                    yield offset
            if len(page) < _PAGE:
                return
            come = page[-1].offset

    def gather(
        self,
        found: Gathered,
        source: Stream,
        own: Stream,
        root: str,
        concerns: Callable[[str], bool],
        after: int,
        upto: int,
    ) -> None:
        """Adds what was hinted between two offsets of the root's table and of those that concern it: by the
        source, and by who addressed the consumer itself (retries, dates that came, passes). What was made of
        hints of the stretch is not counted again; what was made there of earlier ones is part of it.

        It ends where it is `whole`, as nothing can be added.
        """
        keys_of = None if concerns(root) else _keys_of(root)
        stem = entries.c.origin <= after
        for stream, lane in ((stream, lane) for stream in (source, own) for lane in Lane):
            for page in self._bodies(stream, lane, after, upto, None if stream == source else stem):
                for body in page:
                    if keys_of and (keys := keys_of(body)) is not None:
                        found.hints += len(keys)
                        found.keys.update(keys)
                    elif _add(found, body, root, concerns):
                        return

    def _bodies(
        self, stream: Stream, lane: Lane, after: int, upto: int, which: sa.ColumnElement[bool] | None
    ) -> Iterator[list[bytes]]:
        query = sa.select(entries.c.offset, entries.c.body).where(
            entries.c.stream == stream, entries.c.lane == lane.value, entries.c.offset <= upto
        )
        if which is not None:
            query = query.where(which)
        query = query.order_by(entries.c.offset).limit(_PAGE)
        while True:
            with self._database.reading() as connection:
                page = connection.execute(query.where(entries.c.offset > after)).all()
            if page:
                yield [row.body for row in page]
                after = page[-1].offset
            if len(page) < _PAGE:
                return


def _trimmed(connection: sa.Connection, stream: Stream) -> Trimmed | None:
    trimmed = noted(connection, f"trimmed:{stream}")
    if trimmed is None:
        return None
    offset, _, at = trimmed.partition(" ")
    return Trimmed(int(offset), float(at))


def _keys_of(table: str) -> Callable[[bytes], list[Key] | None]:
    """Reads the keys of an entry whose hints each name a key of this table, as nearly all do: in two thirds
    of the time that it takes to tell tables apart. None where there is another among them."""
    literal: Any = Literal
    one = msgspec.defstruct(
        "_Of", [("table", literal[table]), ("key", bytes)], frozen=True, array_like=True, gc=False
    )
    decode: Callable[[bytes], list[Any]] = msgspec.msgpack.Decoder(list[one]).decode  # type: ignore[valid-type]

    def keys_of(body: bytes) -> list[Key] | None:
        try:
            return [hint.key for hint in decode(body)]
        except msgspec.ValidationError:
            return None

    return keys_of


def _add(found: Gathered, body: bytes, root: str, concerns: Callable[[str], bool]) -> bool:
    """Adds what an entry names; True where it is everything."""
    hints: tuple[Hint, ...] | None = None
    for at, one in enumerate(_named(body)):
        mine, hangs_on = one.table in ("", root), concerns(one.table)
        if not mine and not hangs_on:
            continue
        found.hints += len(one.keys) or 1
        if one.span is not None and one.span.walk != "roots":
            found.whole = True
            return True
        if hangs_on and not one.keys:  # of a table that is the root's as well, it names both
            hints = hints or _hints(body)
            plain = msgspec.structs.replace(
                hints[at], reason="redrive", trust=Trust.TARGET, span=None, token=None, position=None, at=0.0
            )
            found.related.update((_encoded(plain),))
        else:
            found.keys.update(one.keys or (() if one.key is None else (one.key,)))
    return False
