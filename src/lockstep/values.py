"""The frozen values that every layer may import. Nothing here does I/O or knows a system.

Values made once per record are msgspec structs: five of them per document cost 0.5 µs, where
dataclasses cost 2 µs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NewType

from msgspec import Struct

Key = NewType("Key", bytes)
"""A record's key as bytes whose order is the order of the key. See `lockstep.forms.keys`."""

Fingerprint = NewType("Fingerprint", int)
"""A signed 64-bit hash of a key and the canonical form of its record. See `lockstep.forms.canonical`."""

Version = NewType("Version", int)
"""(epoch, batch number) as one 63-bit integer. See `version`."""

Record = Mapping[str, Any]
"""A target record: a tree of names and values; the leaves keep their Python types."""

EPOCH_SHIFT = 32

PARTITIONS = 64
"""Virtual partitions of keys, fixed when a state store is made."""


def version(epoch: int, batch: int) -> Version:
    """The version of a batch. Epochs come from the state store and only grow."""
    if not 0 <= batch < 1 << EPOCH_SHIFT or not 0 < epoch < 1 << 31:
        raise ValueError(f"epoch {epoch} or batch {batch} is out of range")
    return Version(epoch << EPOCH_SHIFT | batch)


class Lane(StrEnum):
    """Live changes go before bulk work, which keeps a tenth of the batches."""

    LIVE = "live"
    BULK = "bulk"


class Trust(StrEnum):
    """What a hint lets decide compare with: the ledger, or the target as it is read now."""

    LEDGER = "ledger"
    TARGET = "target"


class Table(Struct, frozen=True):
    """A table of a source as a shape needs it: its own name, the columns read, its key.

    `name` is what the system calls it, schema included where it has schemas ("public.users").
    `key` and `joins` are column names; `joins` are those, outside the key, by which a shape finds the row
    from another one. A feed reports the values of `key` and `joins`, before and after every change.
    `types` says what the models take columns for, in the words of `lockstep explore` ("dt.date"); a column
    that is not in it may be of any type.
    `meets` are the pairs that relations hold to be equal: a column of this table, another table, its column.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    joins: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    meets: tuple[tuple[str, str, str], ...] = ()

    def together(self, other: Table) -> Table:
        """The same table as two shapes need it."""
        return Table(
            self.name,
            tuple(dict.fromkeys(self.columns + other.columns)),
            self.key,
            tuple(dict.fromkeys(self.joins + other.joins)),
            tuple(dict.fromkeys(self.types + other.types)),
            tuple(dict.fromkeys(self.meets + other.meets)),
        )


class Fetch(Struct, frozen=True):
    """What to read of a table: `columns` of the rows whose `by` columns have given values.

    Each row comes back as a tuple of the columns, followed by one signed 64-bit hash for every
    group of columns in `hashes`.
    """

    table: str
    columns: tuple[str, ...]
    by: tuple[str, ...]
    hashes: tuple[tuple[str, ...], ...] = ()


class Span(Struct, frozen=True, array_like=True):
    """The keys k with after < k <= upto; None is unbounded.

    A source whose indexes do not serve key order walks in an order of its own: then `cursor` (opaque)
    says where its walk stands, and `walk` is "ledger" once the source's keys have all been seen. With
    `walk` "roots" it is a span of the root keys that a hint's related row leads to.
    """

    after: Key | None = None
    upto: Key | None = None
    cursor: str | None = None
    walk: str = "source"


EVERYTHING = Span()

JoinValues = dict[str, Key | None]
"""Join columns of a row, each value as the key bytes of a one-column key; None is null."""


class Hint(Struct, frozen=True, array_like=True, omit_defaults=True):
    """A key, some keys, or a span of keys of a table may have changed. Carries no record.

    `keys` is the packed form of many hints that differ in nothing else: expansions of spans and of
    widely shared rows. `table` is "" in a hint addressed to a consumer by someone who knows its root
    keys and not its tables.
    """

    table: str
    key: Key | None = None
    keys: tuple[Key, ...] = ()
    span: Span | None = None
    before: JoinValues | None = None
    after: JoinValues | None = None
    reason: str = "change"
    trust: Trust = Trust.LEDGER
    token: str | None = None
    position: str | None = None
    at: float = 0.0


Stream = NewType("Stream", str)
"""`source:NAME`, what a source's capture appends, or `consumer:N`, what is addressed to one consumer."""


def source_stream(source: str) -> Stream:
    return Stream(f"source:{source}")


def consumer_stream(consumer: int) -> Stream:
    return Stream(f"consumer:{consumer}")


class Entry(Struct, frozen=True):
    """Hints of one partition and stream as they lie in the journal.

    `offset` orders the entries of a partition and is set by the journal. `origin` is the offset of the
    entry that this one was expanded from, its own where it was not.
    """

    stream: Stream
    lane: Lane
    partition: int
    hints: tuple[Hint, ...]
    origin: int = 0
    offset: int = 0


class Tally(Struct, frozen=True):
    """How many records there are in a span, and the sum of their 64-bit numbers modulo 2^64, signed.

    Of a target that can tell whether a record is as it was written: `edited`, how many are not, and
    `unproved`, of how many it cannot tell it."""

    records: int
    total: int
    edited: int = 0
    unproved: int = 0


class Tallies(Struct, frozen=True):
    """Of the records of one mapping, span after span. `others`: how many more the target holds; None where
    that was not counted with them. `edited`: what the edited ones say (see `SummingWriter.edited`); None
    where that was not found out with them."""

    spans: list[Tally]
    others: int | None = None
    edited: tuple[Mark, ...] | None = None


class Mark(Struct, frozen=True):
    """What a target record says of itself: its own key, and what Lockstep keeps beside it."""

    key: Key
    meta: Meta


class Branch(Struct, frozen=True):
    """One table of a shape, for who sums its rows: `up` are its columns, `down` its parent's, that are equal.

    `constant` is what its path contributes to the hash of its rows (see `canonical.path_constant`). Every
    row that hangs on a root counts, as often as it hangs there.
    """

    table: Table
    constant: int
    down: tuple[str, ...] = ()
    up: tuple[str, ...] = ()
    below: tuple[Branch, ...] = ()


class FeedMark(Struct, frozen=True):
    """How far a source's own log is durably in the journal. `identity` names the physical source;
    `landmark`, in its feed's own words, the last change read, to know the log by again."""

    source: str
    position: str
    identity: str
    landmark: str | None = None


class Meta(Struct, frozen=True):
    """What Lockstep keeps beside each target record, in the target."""

    mapping: str
    key: Key
    fingerprint: Fingerprint
    sum: int
    version: Version


class Held(Struct, frozen=True):
    """A record as the target holds it. `meta` is None where Lockstep did not write it."""

    key: Key
    record: Record
    meta: Meta | None


class Listed(Struct, frozen=True):
    """That a target holds a record, without the record. `meta` is as in `Held`."""

    key: Key
    meta: Meta | None


class Change(Struct, frozen=True):
    """One write: make the record at `key` be this, or (None) be gone. The unit of order is the key.

    `plain`: whole numbers, finite floats and instants in UTC are all there is of those, so that any encoder
    of JSON writes the record without loss. False where nobody looked.
    """

    key: Key
    record: Record | None
    meta: Meta
    plain: bool = False


class Status(StrEnum):
    """What became of a write.

    applied     the target holds it, durably
    unchanged   the target held it already
    superseded  the target holds a newer version
    rejected    the target will not take this record; the others of the batch were not harmed
    unknown     nobody can say: the connection broke, or the target is too busy
    """

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True):
    """The answer to one change.

    held   what the target now holds, where it is not what was sent
    again  of a rejected one that waits for something, by nobody's fault: try it again, at the latest at this
           instant (seconds since 1970; infinite: as always)
    partly of a rejected one: some of it was written, so the target holds neither this nor what it held before
    """

    status: Status
    reason: str | None = None
    held: Record | None = None
    again: float | None = None
    partly: bool = False


class Identity(Struct, frozen=True):
    """Which physical target this is."""

    system: str
    target: str
    marker: str | None


class Contents(Struct, frozen=True):
    """What a target holds. `highest` bounds the versions of its records; a tombstone's may be greater,
    which a superseded write finds out."""

    records: int
    highest: Version


class Estimate(Struct, frozen=True):
    """What a target says of itself for next to nothing: about how many records it holds (in a unit of its
    own), and how many were removed in it since some moment, by anybody."""

    records: int
    removed: int


class Saved(Struct, frozen=True):
    """A saved state of a target as its repository lists it. `records` and `size` (bytes) are None where
    nobody knows; `at` is when it was whole."""

    name: str
    records: int | None
    size: int | None
    at: float


class Finding(Struct, frozen=True):
    """Something `check` has to say. A blocking one must be mended before anything runs."""

    subject: str
    problem: str
    mend: str
    blocks: bool = True
