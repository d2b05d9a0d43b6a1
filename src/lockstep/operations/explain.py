"""explain: everything Lockstep knows of one key."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from lockstep.agreement.doubts import Doubt, doubts
from lockstep.agreement.fields import FieldDiff, diff
from lockstep.agreement.report import Divergence
from lockstep.declaration.mapping import Desired
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.writing.decide import owned
from lockstep.forms import keys
from lockstep.operations.key_history import Event, history
from lockstep.operations.opened import closed_door, looking, parse_key
from lockstep.state.generations import Consumer
from lockstep.state.rows import Row, Wrote, decode_wrote
from lockstep.state.store import Store
from lockstep.state.stuck import Stuck
from lockstep.values import EPOCH_SHIFT, Held, Key


class TargetRecord(Struct, frozen=True):
    """One target record of the key: as derived, as held, and whether they are equal."""

    key: str
    derived: dict[str, Any] | None
    held: dict[str, Any] | None
    equal: bool
    fields: tuple[FieldDiff, ...]
    written_as: str | None


class Explanation(Struct, frozen=True):
    """A key: what the source holds, what it means, what the ledger and the target hold, what is stuck.

    `verdict` is one sentence for a person.
    """

    mapping: str
    key: str
    verdict: str
    source: dict[str, Any] | None
    error: str | None
    records: tuple[TargetRecord, ...]
    ledger: dict[str, Any] | None
    stuck: Stuck | None
    history: tuple[Event, ...]


def explain(pipeline: Pipeline, mapping: str, typed: str) -> Explanation:
    """Reads a key on both sides and in the state store. Nothing is written."""
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    key = parse_key(declared, typed)
    with looking(pipeline) as store:
        consumer = store.generations.consumer(mapping, declared.target.name) if store else None
        reader = declared.source.reader()
        try:
            one = Deriver(declared, reader).derive([key], time.time())[key]
        finally:
            reader.close()
        row = store.ledger.rows(consumer.id, [key]).get(key) if store and consumer else None
        known = owned(row, declared.default_key)
        wanted = {item.key: item for item in one.desired}
        named = _named(store, consumer, key) if store and consumer else set()
        with closed_door(declared, consumer.number if consumer else 1, store) as door:
            there = door.identity() is not None
            asked = {*known, *wanted, *named}
            held = door.read(list(asked)) if there and asked else {}
        doubted = list(doubts(mapping, one, row, known, held, named))
        at = {doubt.at: doubt for doubt in doubted}
        records = [
            _record(target_key, wanted.get(target_key), held.get(target_key), at.get(target_key))
            for target_key in sorted({*known, *wanted, *(named & at.keys())})
        ]
        stuck = next(iter(store.stuck.of(consumer.id, [key])), None) if store and consumer else None
        wrote = decode_wrote(row.hint) if row is not None else None
        events = history(store, consumer, declared, key, one.root, wrote, stuck) if store and consumer else []
    ledger = None if row is None else _ledger(row, known, wrote)
    source = None if one.root is None else _tree(one.root)
    return Explanation(
        mapping,
        keys.text(key),
        _GONE.format(declared.target.name)
        if ledger is not None and not there
        else _verdict(declared.name, one, held, doubted, stuck, known=ledger is not None),
        source,
        str(one.error) if one.error else None,
        tuple(records),
        ledger,
        stuck,
        tuple(events),
    )


def _named(store: Store, consumer: Consumer, key: Key) -> set[Key]:
    """Target keys at which a check found a record that says it is from this key, and should not be there."""
    found = [one for one in store.reports.of_key(consumer.id, keys.text(key)) if one.closed_at is None]
    targets = (msgspec.json.decode(one.body, type=Divergence).target for one in found)
    return {target for target in targets if target is not None}


def _record(target_key: Key, item: Desired | None, found: Held | None, doubt: Doubt | None) -> TargetRecord:
    derived = dict(item.record) if item else None
    held = dict(found.record) if found else None
    equal = doubt is None and (item is not None or found is None)
    written_as = None
    if found and found.meta:
        written_as = f"{found.meta.mapping} {keys.text(found.meta.key)}"
    fields: tuple[FieldDiff, ...] = ()
    if not equal:
        shown = doubt is not None and doubt.records is not None
        fields = doubt.fields() if doubt is not None and shown else tuple(diff(derived or {}, held or {}))
    return TargetRecord(keys.text(target_key), derived, held, equal, fields, written_as)


def _ledger(row: Row, known: Iterable[Key], wrote: Wrote | None) -> dict[str, Any]:
    """A row of the ledger, which knows these target keys, as `explain --json` has it."""
    last = None
    if wrote is not None:
        last = {"reason": wrote.reason, "position": wrote.position, "at": wrote.at}
    return {
        "void": row.void,
        "owns": [keys.text(target_key) for target_key in known],
        "sum": row.sum,
        "epoch": row.version >> EPOCH_SHIFT,
        "batch": row.version & ((1 << EPOCH_SHIFT) - 1),
        "last_write": last,
        "due": row.due,
    }


def _tree(shape: Any) -> dict[str, Any]:
    """A shape as a tree of names and values."""
    return {name: _plain(getattr(shape, name)) for name in shape.__struct_fields__}


def _plain(value: Any) -> Any:
    if hasattr(value, "__struct_fields__"):
        return _tree(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


_GONE = (
    "{0} is not there, or lacks Lockstep's marker, so nothing can be said of its record. `lockstep status` "
    "says what brings it back."
)


def _verdict(
    mapping: str,
    one: Derived,
    held: Mapping[Key, Held],
    doubted: Sequence[Doubt],
    stuck: Stuck | None,
    *,
    known: bool,
) -> str:
    """`known`: the ledger has a row of it."""
    if one.error is not None:
        return "It cannot be derived; see the error. The target keeps what it has."
    if stuck is not None:
        return f"It is stuck since {stuck.attempts} attempts: {stuck.error}"
    why = next((f": {doubt.reason}" for doubt in doubted if doubt.reason), "")
    mend = (
        f"If no hint of it waits: `lockstep repair {mapping}` mends what a check has told of, as "
        f"`lockstep verify {mapping} --deep` does."
    )
    if any(doubt.kind != "ledger" for doubt in doubted):
        if not known and not held:
            return "It was never written; a run would write it."
        if all(doubt.kind == "extra" for doubt in doubted):
            return f"The target holds a record of it that the source does not mean{why}. {mend}"
        return f"The target does not hold what the source means{why}. {mend}"
    if doubted:
        return f"Source and target agree, but not the ledger{why}. {mend}"
    if one.root is None and not held:
        return "The source has no such record, and neither has the target: in agreement."
    shown = "in agreement" if one.desired else "in agreement: the mapping gives no record for it"
    return f"The target holds what the source means: {shown}."
