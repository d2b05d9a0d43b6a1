"""plan: what would be written, field by field. Reads both sides; the door stays closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as MappingOf

from msgspec import Struct

from lockstep.agreement.fields import FieldDiff, diff
from lockstep.agreement.walk import source_keys
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.writing.decide import decide, owned
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.guard.door import Door
from lockstep.operations.opened import closed_door, looking, parse_keys
from lockstep.ports.steps import Steps
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Change, Fingerprint, Held, Key, Meta, Version

_PAGE = 500
_NEWEST = Version((1 << 63) - 1)


class Planned(Struct, frozen=True):
    """One write that would be made. `action`: create, update, delete, fail; `preview`: what the target says
    would follow of it, in lines."""

    action: str
    key: str
    target_key: str | None
    fields: tuple[FieldDiff, ...] = ()
    reason: str | None = None
    steps: Steps | None = None
    preview: tuple[str, ...] = ()


def plan(pipeline: Pipeline, mapping: str, typed: Sequence[str] = ()) -> Iterator[Planned]:
    """What a run would write if it derived these keys (all of them, where none is named) right now.

    Compares with the target as it is read now. Yields as it goes; nothing is written. Of named keys the
    target is also asked what would follow, where it can say it.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    with looking(pipeline) as store:
        consumer = store.generations.consumer(mapping, declared.target.name) if store else None
        reader = declared.source.reader()
        try:
            deriver = Deriver(declared, reader)
            with closed_door(declared, consumer.number if consumer else 1, store) as door:
                there = door.identity() is not None
                pages: Iterator[list[Key]]
                if typed:
                    pages = iter([parse_keys(declared, typed)])
                else:
                    pages = _all_keys(deriver, store, consumer, source_keys(reader, declared, _PAGE))
                preview = door.preview if typed else _unasked
                for page in pages:
                    yield from _page(
                        declared, deriver, store, consumer, door if there else None, page, preview
                    )
        finally:
            reader.close()


def _all_keys(
    deriver: Deriver,
    store: Store | None,
    consumer: Consumer | None,
    pages: Iterator[list[Key]],
) -> Iterator[list[Key]]:
    """The source's keys, then those that only the ledger knows."""
    yield from pages
    after: Key | None = None
    while store is not None and consumer is not None:
        known = store.ledger.keys(consumer.id, after, None, _PAGE)
        present = deriver.roots(known) if known else {}
        orphans = [key for key in known if key not in present]
        if orphans:
            yield orphans
        if len(known) < _PAGE:
            return
        after = known[-1]


def _page(
    mapping: Mapping,
    deriver: Deriver,
    store: Store | None,
    consumer: Consumer | None,
    door: Door | None,
    page: list[Key],
    preview: Callable[[Sequence[Change]], MappingOf[Key, tuple[str, ...]]],
) -> Iterator[Planned]:
    derived = deriver.derive(page, time.time())
    rows = store.ledger.rows(consumer.id, page) if store and consumer else {}
    known = {key: owned(rows.get(key), mapping.default_key) for key in page}
    asked = {item.key for one in derived.values() for item in one.desired}
    asked.update(target_key for own in known.values() for target_key in own)
    held: dict[Key, Held] = door.read(list(asked)) if door and asked else {}
    for key in page:
        one = derived[key]
        if one.error is not None:
            yield Planned("fail", keys.text(key), None, reason=str(one.error))
            continue
        decision = decide(one.desired, known[key], held, (mapping.name, key))
        for put in decision.puts:
            found = held.get(put.key)
            if found is None:
                yield Planned("create", keys.text(key), keys.text(put.key), tuple(diff(put.record, {})))
                continue
            actual = fingerprint(put.key, canonical(found.record))
            before = known[key].get(put.key)
            if before is not None and before.sent == put.fingerprint and before.held == actual:
                continue
            fields = tuple(diff(put.record, found.record))
            reason = None if fields else "the record is equal, its metadata is not"
            change = Change(put.key, put.record, Meta(mapping.name, key, put.fingerprint, one.sum, _NEWEST))
            yield Planned(
                "update",
                keys.text(key),
                keys.text(put.key),
                fields,
                reason,
                _steps(door, change),
                preview([change]).get(put.key, ()),
            )
        for target_key in decision.removes:
            change = Change(target_key, None, Meta(mapping.name, key, Fingerprint(0), 0, _NEWEST))
            yield Planned(
                "delete",
                keys.text(key),
                keys.text(target_key),
                steps=_steps(door, change),
                preview=preview([change]).get(target_key, ()),
            )


def _steps(door: Door | None, change: Change) -> Steps | None:
    """What the target says that the write would do, where it can say it."""
    return None if door is None else door.steps([change]).get(change.key)


def _unasked(changes: Sequence[Change]) -> dict[Key, tuple[str, ...]]:
    return {}
