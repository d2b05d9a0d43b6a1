"""The ports: what a system must be able to do. The law of each is its docstring and is asserted by the
suite of the same name in `lockstep.testing`, against every connector, on its real server.

A connector implements the ports it can and knows nothing of the engine. One colour: synchronous calls.
Connectors raise `Unreachable` for what automation may retry, `Refused` for what it may not, and
`DataError` when one record is at fault; never an exception of the library below them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from lockstep.catalog import Catalog
from lockstep.errors import DataError, Refused
from lockstep.values import (
    Branch,
    Change,
    Contents,
    Entry,
    Estimate,
    FeedMark,
    Fetch,
    Finding,
    Held,
    Hint,
    Identity,
    Key,
    Lane,
    Mark,
    Outcome,
    Record,
    Saved,
    Span,
    Stream,
    Table,
    Tally,
)

MOST_ROWS = 50_000
MOST_BYTES = 32 << 20
"""What one read by values may bring at most. Streams have no bound, as nobody keeps their pages."""


class KeyPage(NamedTuple):
    """Keys of a span, and the rest of it (None: this was all). `ordered`: in key order."""

    keys: list[Key]
    rest: Span | None
    ordered: bool = True


class Snapshot(Protocol):
    """One consistent moment of a source. Every read sees the same moment."""

    def rows(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows whose `by` columns equal one of `values`, in any order, each row once.

        A null in `values` matches nothing. An unknown key reads as no row. Text, uuid, number, date and
        time columns come back as the Python types that `lockstep explore` writes, exactly; a value that
        has none raises DataError. More than `MOST_ROWS` rows, or than about `MOST_BYTES` of values, raise
        TooMuch before they are all in memory. Hashes depend on the values alone, not on session settings.
        """
        ...

    def stream(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
        """As `rows`, in pages of some thousands: for a shared parent with a million dependants."""
        ...

    def keys(self, table: Table, span: Span, limit: int) -> KeyPage:
        """At most `limit` keys of a span, and what is left of it.

        Adjoining spans hold what their union holds. Where an index serves key order, keys come in it;
        where none does, in the index's own order with `ordered` False and a `cursor` in the rest.
        """
        ...


@runtime_checkable
class SummingSnapshot(Protocol):
    """A snapshot whose system sums by itself, without sending rows.

    The *number* of a root is the sum over all its rows, on all paths, of `canonical.mix(hash of the row's
    columns, hash of the root's key ^ constant)` modulo 2^64: what the ledger keeps of a key that was
    derived. Raises CannotSum, with the reason, where it can't for this shape or these keys.
    """

    def sums(self, root: Branch, cuts: Sequence[Key]) -> list[Tally]:
        """How many roots each of `len(cuts) + 1` spans holds, and the sum of their numbers.

        `cuts` ascend; span n holds the keys k with cuts[n - 1] < k <= cuts[n], the first and the last are
        open. The tables are read once, however many spans there are.
        """
        ...

    def numbers(self, root: Branch, span: Span) -> Iterator[list[tuple[Key, int]]]:
        """The number of every root in a span, in any order, in pages."""
        ...


@runtime_checkable
class GroupingSnapshot(Protocol):
    """A snapshot whose system counts and adds up by group, exactly. Raises CannotSum where it can't."""

    def groups(self, table: Table, of: str | None, by: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """For every group of rows that are equal in the columns `by`: these values, how many rows, the exact
        sum of column `of` as a Decimal (None where there is nothing to add), and a witness: a number that is
        another one once a row that is in the group was changed, also if that was taken back; a row that came
        and went leaves no trace. A group may come in parts. Without `by`, all rows are one group; no rows are
        no group."""
        ...


@runtime_checkable
class Reader(Protocol):
    """Reads the current state of a source. Never changes it."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Opens one consistent snapshot, read-only, to be closed within a batch."""
        ...

    def visible(self, tokens: Sequence[str]) -> str | None:
        """None when new snapshots see all these tokens; else what is waited for, in words."""
        ...

    def estimate(self, table: Table) -> int:
        """About how many rows a table has, cheaply: for progress, never for a decision."""
        ...

    def count(self, table: Table, most: int) -> int:
        """How many rows a table has, counted; not beyond `most`."""
        ...

    def close(self) -> None: ...


class Caught(NamedTuple):
    """Hints of one stretch of a source's log. Once they are durable, `position` may be acknowledged.

    `position` is None inside a transaction too large for one stretch. `landmark`: see `FeedMark`; None where
    no change was read yet, or the feed keeps none.
    """

    hints: list[Hint]
    position: str | None
    landmark: str | None = None


class Capture(NamedTuple):
    """What `Feed.prepare` found: tables whose capture begins now, and whether the log has a hole.

    A full-span hint of each new table carries `token`, so it is not taken while a transaction that was
    open before capture began may still commit unseen. `hole` says in words why the log since the mark is
    not whole; then every table must be hinted, trusting only the target. `held` are tables that cannot be
    followed as they are now, with the reason: nobody may read them until a later `prepare` lets them go, and
    then they count as started. The others are followed. `moment` differs whenever the tables in `started`
    began once more since an earlier `prepare` that named the same ones.
    """

    identity: str
    started: tuple[str, ...]
    token: str | None
    position: str
    hole: str | None
    held: Mapping[str, Refused] = MappingProxyType({})
    moment: str = ""


class FeedLag(NamedTuple):
    """How far a feed is behind, in bytes or changes; None where unknown.

    retained  what the source keeps of its log because of us
    behind    what of its log lies after the acknowledged `position`
    room      how much more it keeps before it gives up on us; None: it never does
    held_by   who else keeps it from forgetting what we have acknowledged, in words
    end       where its log ends
    """

    retained: int | None
    unit: str
    position: str | None
    behind: int | None = None
    room: int | None = None
    held_by: str | None = None
    end: str | None = None


@runtime_checkable
class Feed(Protocol):
    """Follows a source's own log as hints. Only one at a time; it never queries the tables.

    Every way to change a row yields a hint of its key (old and new, where it changed) with its join
    columns before and after. TRUNCATE yields a full span. Hints come in log order; after a restart,
    everything after the last acknowledged position comes again.
    """

    def prepare(self, tables: Sequence[Table], mark: FeedMark | None) -> Capture:
        """Installs capture of these tables. Safe to repeat. `mark` is what the journal holds durably."""
        ...

    def follow(self, after: str) -> Iterator[Caught]:
        """Hints after a position, as they come. Yields an empty list at least every second."""
        ...

    def acknowledge(self, position: str) -> None:
        """Everything up to here is durable elsewhere: the source may forget it."""
        ...

    def reached(self) -> str:
        """The end of the source's log right now, as a position."""
        ...

    def passed(self, position: str, goal: str) -> bool:
        """Whether following has come to `goal` once it has yielded `position`."""
        ...

    def lag(self) -> FeedLag: ...

    def close(self) -> None: ...


class Features(NamedTuple):
    """What a target can do.

    versions    it refuses an older version by itself
    normalises  what it holds may differ from what was sent; outcomes then carry `held`
    parallel    how many writes at once are worth while. Above 1, threads may share the writer; at 1 one
                thread has it
    """

    versions: bool
    normalises: bool
    parallel: int = 1


@runtime_checkable
class Writer(Protocol):
    """Writes one generation of a target. Never creates it by accident.

    Idempotent: the same change twice is as once. An older version never overwrites or resurrects a newer
    one, where the target holds versions. `write` answers every change, in order, and never raises for
    one bad item; applied means durable. An unknown key reads as absent. Adjoining scans are the scan of
    the union.

    A target that is missing raises TargetReplaced, from all but `identity` and `create`. `write` raises
    Unreachable when nothing of the batch was sent or the target stays too busy for it, else the outcomes in
    doubt are `unknown`; Refused and TargetReplaced mean that the target itself is at fault. A part may have
    been written then.
    """

    features: Features

    def identity(self) -> Identity | None:
        """Which physical target this is, None when it does not exist. Cheap: asked every few seconds."""

    def contents(self) -> Contents:
        """Counts what every write acknowledged before has left. May cost the target some work."""

    def create(self, marker: str) -> Identity:
        """Builds it, empty, and leaves the marker in it. Refuses where something stands there already."""

    def write(self, changes: Sequence[Change]) -> list[Outcome]: ...

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]: ...

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        """The next records after a key, in key order of the target's keys; fewer than `limit` at the end."""

    def close(self) -> None: ...


@runtime_checkable
class EstimatingWriter(Protocol):
    """A target that knows about how much it holds (None: it does not say). Removals show in two seconds."""

    def estimate(self) -> Estimate | None: ...


@runtime_checkable
class SummingWriter(Protocol):
    """A writer whose target sums by itself what its records say of themselves. It sees all that was
    acknowledged before. Raises CannotSum, with the reason, where the target will not.

    Where the target can tell that a record is not as it was written, the record's fingerprint counts, and is
    listed, as its complement, ~fingerprint."""

    def sums(self, mapping: str, cuts: Sequence[Key]) -> list[Tally]:
        """Of a mapping's records: how many there are, and the sum of their stored fingerprints, for each of
        `len(cuts) + 1` spans of *source* keys. Spans are as in `SummingSnapshot.sums`."""
        ...

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        """What every record of a mapping whose source key is in the span says, in any order, in pages."""
        ...

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        """Records that none of these mappings wrote: how many there are, and the keys of some."""
        ...


ADOPTING = "adopting:"
"""What a marker begins with while its target is being taken over: no run writes to it until that is done."""


class Foreign(Protocol):
    """What stands where a target would be, as somebody else left it, marker or not."""

    def records(self) -> int | None:
        """About how many records stand there; None where there is nothing. Raises Refused, with the reason,
        where Lockstep could not take it over."""
        ...

    def marker(self) -> str | None:
        """The marker that stands in it, None where nobody has left one."""
        ...

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]: ...

    def scan(self, after: Key | None, limit: int) -> list[Held]: ...

    def compared(self, change: Change, held: Held) -> tuple[Record, Record]:
        """What would be held were the change written, and what is held of it. Fields that a write would leave
        alone are in neither. Raises DataError where the record would not be taken."""
        ...

    def leave(self, marker: str) -> Identity:
        """Makes what Lockstep keeps beside the records, and leaves a marker, in place of an older one. No
        record changes. Safe to repeat."""
        ...

    def own(self, changes: Sequence[Change]) -> list[Outcome]:
        """Adds the metadata of each change whose record is held just so at this moment, and changes nothing
        that others see: `applied`, durably. `rejected`: another record is held by now, or none."""
        ...


@runtime_checkable
class AdoptingWriter(Protocol):
    """A writer that can take over a target which stands already and which Lockstep did not make."""

    def foreign(self) -> Foreign: ...


class Repository(Protocol):
    """Where the saved states of one target lie. `name`s are Lockstep's own: lower-case letters, digits, -.

    Raises Refused with the mend where the place cannot be used, or is full; a half-made saved state is never
    listed as whole, and nothing else that lies there is touched."""

    def save(self, generation: int, name: str) -> Saved:
        """Saves one build, with all that every write acknowledged before has left; durable when it returns.
        Writes may go on meanwhile and are in it or not. Asked again after a crash, it goes on or begins anew;
        what is whole under that name is only returned. TargetReplaced where there is no such build."""
        ...

    def saved(self) -> list[Saved]:
        """What is whole, oldest first."""
        ...

    def damage(self, name: str) -> str | None:
        """What is wrong with a saved state, in words, as far as can be told without restoring it (it is gone,
        a file's checksum differs); None where nothing is."""
        ...

    def restore(self, name: str, generation: int, marker: str) -> Identity:
        """Makes a build from what was saved, records and metadata, with this marker; nobody searches it yet.
        Idempotent: asked again after a crash with the same marker it goes on or begins anew; once it is done,
        nothing is changed, and what was written since stays. Refuses where a build of another marker stands
        there, or the saved state is damaged; then nothing is left behind.

        A target that has one build only (no `Generational`) replaces what stands there with what was saved,
        in one transaction; generation 0 of it is a scratch table beside."""
        ...

    def progress(self) -> float | None:
        """How much of the save or restore under way is done, from 0 to 1; None where nobody knows. Asked by
        another thread."""
        ...

    def forget(self, name: str) -> None:
        """Removes a saved state, whole or half-made. No error where there is none."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Restorable(Protocol):
    """A target whose builds can be saved and brought back by its own means."""

    def repository(self) -> Repository:
        """Opens nothing yet. Raises DeclarationError, saying how to declare one, where none is."""
        ...

    def remove(self, generation: int, marker: str) -> None:
        """Removes a build that nobody searches, with all that Lockstep keeps beside it. Refuses where it is
        searched or has another marker. No error where there is none. Generation 0 is a rehearsal's."""
        ...


@runtime_checkable
class Generational(Protocol):
    """A target that can hold several builds side by side, one of which is searched."""

    def searched(self) -> int | None:
        """The generation that readers see; None where none is."""
        ...

    def point(self, generation: int) -> None:
        """Makes readers see this build, from one moment to the next: no read fails meanwhile, and none sees
        both or neither. Safe to repeat. TargetReplaced where there is no such build, or it lacks a marker."""
        ...

    def remove(self, generation: int, marker: str) -> None:
        """As in `Restorable`."""
        ...


class Target(Protocol):
    """Where a mapping writes to, as declared. Opening nothing, it can be named and compared."""

    @property
    def name(self) -> str:
        """Unique among all targets, without secrets: `opensearch:users`."""
        ...

    def key(self, values: Sequence[Any]) -> Key:
        """The normal form of a target key: what `read` and `scan` will call it."""
        ...

    def open(self, generation: int) -> Writer: ...

    def check(self) -> list[Finding]:
        """Whatever would go wrong when a `run` starts."""
        ...


class Source(Protocol):
    """A system that can be read and followed, as declared."""

    @property
    def name(self) -> str:
        """Unique among all sources, without secrets."""
        ...

    def reader(self) -> Reader: ...

    def feed(self) -> Feed: ...

    def check(self, tables: Sequence[Table]) -> list[Finding]: ...

    def catalog(self) -> Catalog:
        """Every table, as introspected: for `lockstep explore`."""
        ...

    def parse_keys(self, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        """Keys as people typed them, or as `keys.text` shows them, one text per key column: for each, in
        order, the key, or why it is none and what it is made of. Many are read in few questions."""
        ...


@runtime_checkable
class Journal(Protocol):
    """The durable, partitioned, ordered log of hints. Appended is durable.

    A *stream* is what a source's capture appends (read by every consumer of that source), or what is
    addressed to one consumer. A reader of several streams merges them by offset.
    """

    @property
    def identity(self) -> str:
        """Another journal has another identity: a restored or emptied one is another."""
        ...

    def append(self, entries: Sequence[Entry], mark: FeedMark | None = None) -> None:
        """Appends, and records how far a source's log has come, in one commit."""
        ...

    def read(self, stream: Stream, lane: Lane, after: Mapping[int, int], limit: int) -> list[Entry]:
        """The next entries of a stream's lane after an offset per partition, oldest first.

        Returns at least one when there is one, and no more once they hold `limit` hints.
        """
        ...

    def mark(self, source: str) -> FeedMark | None: ...

    def end(self) -> int:
        """No entry has a greater offset now."""
        ...

    def waiting(self, stream: Stream, lane: Lane, after: int, origin: int | None = None) -> int:
        """How many hints lie after an offset; with `origin`, of those that stem from up to it."""
        ...

    def trim(self, stream: Stream, lane: Lane, upto: int, before: float) -> int:
        """Forgets a lane's entries up to an offset that are older than a time; how many."""
        ...
