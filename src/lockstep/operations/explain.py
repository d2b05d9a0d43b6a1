"""explain: everything Lockstep knows of one key."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct

from lockstep.agreement.fields import FieldDiff, diff
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.writing.decide import owned
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.operations.key_history import Event, history
from lockstep.operations.opened import closed_door, looking, parse_key
from lockstep.state.rows import decode_wrote
from lockstep.state.stuck import Stuck
from lockstep.values import EPOCH_SHIFT


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
        with closed_door(declared, consumer.number if consumer else 1, store) as door:
            there = door.identity() is not None
            held = door.read(list({*known, *wanted})) if there and (known or wanted) else {}
        records = []
        for target_key in sorted({*known, *wanted}):
            item, found = wanted.get(target_key), held.get(target_key)
            derived_record = dict(item.record) if item else None
            held_record = dict(found.record) if found else None
            equal = derived_record is None and held_record is None
            if item and found:
                actual = fingerprint(target_key, canonical(found.record))
                before = known.get(target_key)
                equal = actual == item.fingerprint or (
                    before is not None and before.sent == item.fingerprint and before.held == actual
                )
            written_as = None
            if found and found.meta:
                written_as = f"{found.meta.mapping} {keys.text(found.meta.key)}"
            fields = () if equal else tuple(diff(derived_record or {}, held_record or {}))
            records.append(
                TargetRecord(keys.text(target_key), derived_record, held_record, equal, fields, written_as)
            )
        stuck = next(iter(store.stuck.of(consumer.id, [key])), None) if store and consumer else None
        ledger: dict[str, Any] | None = None
        wrote = decode_wrote(row.hint) if row is not None else None
        known_of = (
            history(store, consumer, declared, key, one.root, wrote, stuck) if store and consumer else []
        )
        if row is not None:
            ledger = {
                "void": row.void,
                "owns": [keys.text(target_key) for target_key in known],
                "sum": row.sum,
                "epoch": row.version >> EPOCH_SHIFT,
                "batch": row.version & ((1 << EPOCH_SHIFT) - 1),
                "last_write": None,
                "due": row.due,
            }
            if wrote:
                ledger["last_write"] = {
                    "reason": wrote.reason,
                    "position": wrote.position,
                    "at": wrote.at,
                }
    source = None if one.root is None else _tree(one.root)
    return Explanation(
        mapping,
        keys.text(key),
        _GONE.format(declared.target.name)
        if ledger is not None and not there
        else _verdict(one.root is not None, one.error is not None, records, stuck, ledger),
        source,
        str(one.error) if one.error else None,
        tuple(records),
        ledger,
        stuck,
        tuple(known_of),
    )


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
    present: bool,
    failed: bool,
    records: list[TargetRecord],
    stuck: Stuck | None,
    ledger: dict[str, Any] | None,
) -> str:
    if failed:
        return "It cannot be derived; see the error. The target keeps what it has."
    if stuck is not None:
        return f"It is stuck since {stuck.attempts} attempts: {stuck.error}"
    if not present and not any(record.held for record in records):
        return "The source has no such record, and neither has the target: in agreement."
    if all(record.equal for record in records):
        shown = "in agreement" if records else "in agreement: the mapping gives no record for it"
        return f"The target holds what the source means: {shown}."
    if ledger is None:
        return "It was never written; a run would write it."
    return (
        "The target does not hold what the source means. If no hint of it waits, repair it with a backfill."
    )
