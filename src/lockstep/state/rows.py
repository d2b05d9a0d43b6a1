"""The rows of the ledger, and what is written beside them: the words that the engine and the store share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from lockstep.values import Fingerprint, Key, Lane, Stream, Version

encode = msgspec.msgpack.Encoder().encode


class Owned(Struct, frozen=True, array_like=True):
    """A target key that a source key owns, and the fingerprints sent and held; None is unknown.

    `left`: the record there is somebody else's, which adoption left as it was. Nothing was sent: `sent` is
    what was derived then, so that it is written once the source means something else; it is never removed."""

    key: Key
    sent: Fingerprint | None = None
    held: Fingerprint | None = None
    left: bool = False


class Row(Struct, frozen=True):
    """What the ledger says of one source key. See `state.schema.ledger`."""

    key: Key
    sent: int | None = None
    held: int | None = None
    targets: tuple[Owned, ...] | None = None
    sum: int | None = None
    version: Version = Version(0)
    void: bool = False
    due: float | None = None
    hint: bytes | None = None


def owns(row: Row, default: Callable[[Key], Key]) -> tuple[Owned, ...]:
    """The target keys of a row. One in short form has at most one, which follows from the source key."""
    if row.targets is not None:
        return row.targets
    if row.sent is None and not row.void:
        return ()
    sent = None if row.sent is None else Fingerprint(row.sent)
    return (Owned(default(row.key), sent, None if row.held is None else Fingerprint(row.held)),)


class Wrote(Struct, frozen=True, array_like=True):
    """The last hint that wrote: why, the source's position, when."""

    reason: str
    position: str | None
    at: float


class Failure(NamedTuple):
    """Why a key is stuck. `claim` is the target key it waits for; `again`: nobody is at fault, and it is
    tried again at this instant at the latest."""

    key: Key
    stage: str
    error: str
    remedy: str
    claim: Key | None = None
    retriable: bool = True
    again: float | None = None


class Settlement(NamedTuple):
    """Everything that one batch makes true, in one transaction."""

    consumer: int
    version: Version
    rows: Sequence[Row]
    removed: Sequence[Key]
    failures: Sequence[Failure]
    cleared: Sequence[Key]
    released: Sequence[tuple[Key, Key]]  # target key, and the source key that gives it up
    positions: Mapping[tuple[Stream, Lane], Mapping[int, int]]
    backfilled: int
    came: Sequence[Key] = ()  # keys of `rows` that the ledger did not know


class Intent(Struct, frozen=True):
    """What is about to be written for one source key: target keys to put, and to remove."""

    key: Key
    puts: Sequence[Key]
    removes: Sequence[Key]


class Claimed(NamedTuple):
    """A target key that another source key owns, and of which mapping."""

    target_key: Key
    consumer: int
    mapping: str
    key: Key


COLUMNS = ("consumer", "key", "sent", "held", "targets", "sum", "version", "void", "due", "hint")
"""The ledger's columns in the order of `from_columns` and `to_columns`."""

_targets = msgspec.msgpack.Decoder(tuple[Owned, ...]).decode
decode_intent = msgspec.msgpack.Decoder(list[tuple[Key, list[Key]]]).decode


def decode_wrote(body: bytes | None) -> Wrote | None:
    return None if body is None else msgspec.msgpack.decode(body, type=Wrote)


def encode_wrote(wrote: Wrote) -> bytes:
    return encode(wrote)


def from_columns(values: Any) -> Row:
    """A row as the ledger's table holds it."""
    _, key, sent, held, targets, total, version, void, due, hint = values
    owned = None if targets is None else _targets(targets)
    return Row(key, sent, held, owned, total, version, bool(void), due, hint)


def to_columns(consumer: int, row: Row) -> tuple[Any, ...]:
    """A row for the ledger's table, as `COLUMNS` names it."""
    targets = None if row.targets is None else encode(row.targets)
    return (
        *(consumer, row.key, row.sent, row.held, targets, row.sum, row.version, row.void, row.due, row.hint),
    )
