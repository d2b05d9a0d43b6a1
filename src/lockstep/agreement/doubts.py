"""Doubts: what does not agree of one source key, as a look at both sides and at the ledger shows it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from lockstep.agreement.fields import FieldDiff, diff
from lockstep.agreement.report import COPY, Divergence
from lockstep.declaration.mapping import Desired
from lockstep.engine.deriving.derive import Derived
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.state.rows import Owned, Row
from lockstep.values import Held, Key, Record


class Doubt(NamedTuple):
    """What may be a divergence: made into one, with its fields, once it is certain.

    source   None: somebody copied it
    records  as the source means it and as the target holds it, for `differ` to say in which fields they are
             not alike; None: that says nothing
    remove   the target key of a record that should not be there
    """

    kind: str
    source: Key | None
    at: Key | None
    reason: str | None = None
    sent: bool = False
    records: tuple[Record, Record] | None = None
    differ: Callable[[Record, Record], list[FieldDiff]] = diff
    remove: Key | None = None

    def fields(self) -> tuple[FieldDiff, ...]:
        """Where the records differ. Costs more than all that led here: for those that are shown."""
        return () if self.records is None else tuple(self.differ(*self.records))

    def told(self, fields: tuple[FieldDiff, ...]) -> Divergence:
        return Divergence(
            self.kind,
            None if self.source is None else keys.text(self.source),
            None if self.at is None else keys.text(self.at),
            fields,
            reason=self.reason,
            sent=self.sent,
            target=self.remove,
            source=self.source,
        )


def doubts(
    mapping: str,
    one: Derived,
    row: Row | None,
    known: Mapping[Key, Owned],
    held: Mapping[Key, Held],
    named: Collection[Key],
) -> Iterator[Doubt]:
    """Nothing where all agree. `known`: what the ledger's `row` says that the key owns. `named`: target
    keys at which a record says that it is from there."""
    if one.error is not None:
        yield Doubt("failed", one.key, None, str(one.error))
        return
    wanted = {item.key: item for item in one.desired}
    agrees = True
    for target_key, item in wanted.items():
        doubt = _differs(mapping, one, item, held.get(target_key), known.get(target_key))
        if doubt is not None:
            agrees = False
            yield doubt
    for target_key in {*known, *named}.difference(wanted):
        found = held.get(target_key)
        if found is not None and _mine(mapping, one.key, found):
            agrees = False
            yield Doubt("extra", one.key, target_key, remove=target_key)
        elif found is not None and found.meta is None and target_key in named:
            agrees = False
            yield Doubt("extra", None, target_key, COPY, remove=target_key)
    if agrees and (row is None or not row.void):
        said = {key: item.sent for key, item in known.items()}
        if said != {key: item.fingerprint for key, item in wanted.items()}:
            reason = "the ledger says something else was written" if said else "the ledger does not know it"
            yield Doubt("ledger", one.key, None, reason)


def _differs(
    mapping: str, one: Derived, item: Desired, found: Held | None, known: Owned | None
) -> Doubt | None:
    sent = known is not None and known.sent == item.fingerprint
    if found is None:
        return Doubt("missing", one.key, item.key, sent=sent)
    actual = fingerprint(item.key, canonical(found.record))
    records = item.record, found.record
    if not _mine(mapping, one.key, found):
        reason = "it does not say it is from here"
        if known is not None and known.left:
            reason = "it differed when it was taken over, and was left"
        return Doubt("different", one.key, item.key, reason, sent, records, _differing)
    meta = found.meta
    assert meta is not None
    if actual == item.fingerprint:
        if meta.fingerprint == item.fingerprint:
            return None
        reason = "it carries another record's fingerprint"
        return Doubt("different", one.key, item.key, reason, sent)
    if known is not None and sent and known.held == actual:
        return None  # sent as it is derived now; the target made this of it
    intact = actual == meta.fingerprint or (known is not None and known.held == actual)
    kind = "stale" if intact and meta.sum != one.sum else "different"
    return Doubt(kind, one.key, item.key, sent=sent, records=records)


def _mine(mapping: str, key: Key, found: Held) -> bool:
    return found.meta is not None and (found.meta.mapping, found.meta.key) == (mapping, key)


def _differing(expected: Record, actual: Record) -> list[FieldDiff]:
    """Of a record that is not ours: it may have columns that the mapping does not name."""
    named = {name: value for name, value in actual.items() if name in expected}
    return diff(expected, named) or diff(expected, actual)
