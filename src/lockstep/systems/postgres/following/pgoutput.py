"""The messages of PostgreSQL's logical replication, plugin pgoutput, protocol version 1: bytes to values.

No I/O, and no meaning: what a change says of a table is for `changes` to find. Values stay the bytes that
the server sent (text in UTF-8). Kinds of messages that are not known are skipped, as newer servers may
send some.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from struct import Struct as Packed
from struct import error as Truncated
from typing import TypeAlias

from msgspec import Struct


class Unchanged(Enum):
    """A large value that an UPDATE left alone, and which is therefore not in the log."""

    TOAST = "unchanged"


UNCHANGED = Unchanged.TOAST
Value: TypeAlias = bytes | Unchanged | None
Row: TypeAlias = list[Value]


class Begin(Struct, frozen=True):
    """A transaction begins. `final` is where its commit record lies; `at` is in µs since 2000-01-01."""

    final: int
    at: int
    xid: int


class Commit(Struct, frozen=True):
    """It ends. `end` is the position behind the commit record."""

    lsn: int
    end: int
    at: int


class Origin(Struct, frozen=True):
    lsn: int
    name: str


class RelationColumn(Struct, frozen=True):
    """`identity`: its old value is in the log."""

    name: str
    identity: bool
    type: int
    modifier: int


class Relation(Struct, frozen=True):
    """A table, before its first change and whenever it was altered."""

    id: int
    schema: str
    table: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]


class Type(Struct, frozen=True):
    """A type that is not builtin; for a domain the names are its base's."""

    id: int
    schema: str
    name: str


class Insert(Struct, frozen=True):
    relation: int
    new: Row


class Update(Struct, frozen=True):
    """`old` is None where no identity column changed; `whole`: it is the full row, not the identity alone."""

    relation: int
    old: Row | None
    whole: bool
    new: Row


class Delete(Struct, frozen=True):
    relation: int
    old: Row
    whole: bool


class Truncate(Struct, frozen=True):
    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


class Emitted(Struct, frozen=True):
    """What pg_logical_emit_message wrote."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


Message: TypeAlias = Begin | Commit | Origin | Relation | Type | Insert | Update | Delete | Truncate | Emitted

_begin = Packed("!qqI").unpack_from
_commit = Packed("!Bqqq").unpack_from
_origin = Packed("!q").unpack_from
_int4 = Packed("!I").unpack_from
_int2 = Packed("!H").unpack_from
_column = Packed("!Ii").unpack_from
_truncate = Packed("!IB").unpack_from
_emitted = Packed("!Bq").unpack_from

ROWS = frozenset(b"IUD")
"""Messages about one row: the relation's id is in bytes 1 to 4, so others' rows need not be decoded."""


def relation_of(message: bytes) -> int:
    """The id of the relation that a message about a row is of."""
    return int.from_bytes(message[1:5], "big")


def decode(message: bytes) -> Message | None:
    """A message; None for a kind that is not known. Raises ValueError where the bytes make no sense."""
    reader = _DECODERS.get(message[0]) if message else None
    if reader is None:
        return None
    try:
        return reader(message)
    except (IndexError, UnicodeError, Truncated) as error:
        words = f"a pgoutput message {message[:1]!r} of {len(message)} bytes makes no sense or ends too early"
        raise ValueError(words) from error


def _row(data: bytes, at: int) -> tuple[Row, int]:
    (count,) = _int2(data, at)
    at += 2
    row: Row = []
    for _ in range(count):
        kind = data[at]
        if kind == 0x74:  # t: as text
            start = at + 5
            at = start + int.from_bytes(data[at + 1 : start], "big")
            if at > len(data):
                raise IndexError
            row.append(data[start:at])
            continue
        at += 1
        if kind == 0x6E:  # n
            row.append(None)
        elif kind == 0x75:  # u
            row.append(UNCHANGED)
        else:
            raise IndexError
    return row, at


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(0, at)
    if end < 0:
        raise IndexError
    return data[at:end].decode(), end + 1


def _read_begin(data: bytes) -> Begin:
    return Begin(*_begin(data, 1))


def _read_commit(data: bytes) -> Commit:
    _, lsn, end, at = _commit(data, 1)
    return Commit(lsn, end, at)


def _read_origin(data: bytes) -> Origin:
    return Origin(_origin(data, 1)[0], _text(data, 9)[0])


def _read_relation(data: bytes) -> Relation:
    schema, at = _text(data, 5)
    table, at = _text(data, at)
    replica_identity = chr(data[at])
    (count,) = _int2(data, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        identity = data[at] & 1 == 1
        name, at = _text(data, at + 1)
        type_, modifier = _column(data, at)
        at += 8
        columns.append(RelationColumn(name, identity, type_, modifier))
    return Relation(relation_of(data), schema or "pg_catalog", table, replica_identity, tuple(columns))


def _read_type(data: bytes) -> Type:
    schema, at = _text(data, 5)
    return Type(relation_of(data), schema or "pg_catalog", _text(data, at)[0])


def _read_insert(data: bytes) -> Insert:
    if data[5] != 0x4E:  # N
        raise IndexError
    return Insert(relation_of(data), _row(data, 6)[0])


def _read_update(data: bytes) -> Update:
    kind = data[5]
    old, at = None, 5
    if kind in b"KO":
        old, at = _row(data, 6)
    if data[at] != 0x4E:
        raise IndexError
    return Update(relation_of(data), old, kind == 0x4F, _row(data, at + 1)[0])


def _read_delete(data: bytes) -> Delete:
    if data[5] not in b"KO":
        raise IndexError
    return Delete(relation_of(data), _row(data, 6)[0], data[5] == 0x4F)


def _read_truncate(data: bytes) -> Truncate:
    count, options = _truncate(data, 1)
    ids = tuple(_int4(data, 6 + 4 * number)[0] for number in range(count))
    return Truncate(ids, options & 1 == 1, options & 2 == 2)


def _read_emitted(data: bytes) -> Emitted:
    flags, lsn = _emitted(data, 1)
    prefix, at = _text(data, 10)
    (size,) = _int4(data, at)
    return Emitted(flags & 1 == 1, lsn, prefix, data[at + 4 : at + 4 + size])


_DECODERS: dict[int, Callable[[bytes], Message]] = {
    ord("B"): _read_begin,
    ord("C"): _read_commit,
    ord("O"): _read_origin,
    ord("R"): _read_relation,
    ord("Y"): _read_type,
    ord("I"): _read_insert,
    ord("U"): _read_update,
    ord("D"): _read_delete,
    ord("T"): _read_truncate,
    ord("M"): _read_emitted,
}
