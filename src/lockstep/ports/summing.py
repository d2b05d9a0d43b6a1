"""Systems that sum, group and count by themselves, without sending rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from lockstep.values import EVERYTHING, Branch, Key, Mark, Span, Table, Tallies, Tally


@runtime_checkable
class SummingSnapshot(Protocol):
    """A snapshot whose system sums by itself, without sending rows.

    The *number* of a root is the sum over all its rows, on all paths, of `canonical.mix(hash of the row's
    columns, hash of the root's key ^ constant)` modulo 2^64: what the ledger keeps of a key that was
    derived. Raises CannotSum, with the reason, where it can't for this shape or these keys.
    """

    def sums(self, root: Branch, cuts: Sequence[Key], within: Span = EVERYTHING) -> list[Tally]:
        """How many roots each of `len(cuts) + 1` spans holds, and the sum of their numbers.

        `cuts` ascend, inside of `within`; span n holds the keys k with cuts[n - 1] < k <= cuts[n], the first
        and the last end where `within` does. The tables are read once, however many spans there are. Of a
        part, the root's table is read by an index where there is one; tables below it may be read whole.
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
class GroupingWriter(Protocol):
    """A writer whose target counts and adds up its records by group, exactly. It sees all that was
    acknowledged before."""

    def groups(self, of: str | None, by: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """For every group of records that are equal in the fields `by`, as a scan reads them: these values,
        how many records, and the exact sum of field `of` as a Decimal (None where there is nothing to add),
        all of one moment. Fields are paths: `company.country` lies one deeper. A field that a record lacks is
        null. A group may come in parts. Without `by`, all records are one group; no records are no group.
        Raises CannotSum, with the reason, where the target can't do just that with these fields."""
        ...


@runtime_checkable
class SummingWriter(Protocol):
    """A writer whose target sums by itself what its records say of themselves. It sees all that was
    acknowledged before. Raises CannotSum, with the reason, where the target will not.

    Where the target can tell that a record is *edited*, not as it was written, it is counted as that, and
    listed with the complement of its fingerprint, ~fingerprint."""

    def sums(self, mapping: str, cuts: Sequence[Key], within: Span = EVERYTHING) -> Tallies:
        """Of a mapping's records: how many there are, and the sum of their stored fingerprints, for each of
        `len(cuts) + 1` spans of *source* keys. Spans are as in `SummingSnapshot.sums`. A target that finds a
        part of its records by nothing but reading all may refuse to sum `within` less than everything."""
        ...

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        """What every record of a mapping whose source key is in the span says, in any order, in pages."""
        ...

    def edited(self, mapping: str, limit: int) -> list[Mark]:
        """What the mapping's edited records say, of any key, as many as the limit."""
        ...

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        """Records that none of these mappings wrote: how many there are, and the keys of some."""
        ...
