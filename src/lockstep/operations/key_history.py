"""What Lockstep has recorded of one key, in order: hints, writes, failures, passes over all keys, checks.

Hints are found in what the journal still keeps: those of the root, of rows that are in its tree now, and of
rows that hang directly on it, whether they still exist or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from lockstep.agreement.report import Divergence
from lockstep.declaration.described import Column
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.shape import Node
from lockstep.forms import keys
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.rows import Wrote
from lockstep.state.store import Store
from lockstep.state.stuck import Stuck
from lockstep.values import Entry, Hint, Key, consumer_stream

HINTS = 100
"""Hints that are told of: the newest."""

EVENTS = 20
"""Events of its mapping, source and target that are told of: the newest."""

_TOUCHING = frozenset(
    {
        Kind.MAPPING_STOPPED,
        Kind.MAPPING_WAITS,
        Kind.MAPPING_HELD,
        Kind.MAPPING_GOES_ON,
        Kind.SOURCE_WAITS,
        Kind.SOURCE_STOPPED,
        Kind.SOURCE_HOLE,
        Kind.SOURCE_GOES_ON,
        Kind.TARGET_GONE,
        Kind.TARGET_REPLACED,
        Kind.TARGET_EMPTIED,
        Kind.ADOPTED,
        Kind.RESTORE_DONE,
        Kind.DEPLOY_SWAPPED,
        Kind.ROLLED_BACK,
    }
)
"""What makes a record late, lost, or another one. Who asked for what is told by the hints."""

ROWS = 200
"""Rows of the tree whose hints are looked for, the root's first."""

Tree = dict[str, set[Key]]
"""The keys of the rows of a root's tree, by table."""


class Event(Struct, frozen=True):
    """Something that happened to the key.

    what   hint, write, stuck, backfill, check, closed or accepted; event: of its mapping, source or target
    text   in words
    position   of the source's log, where the event has one
    """

    happened_at: float
    what: str
    text: str
    position: str | None = None


def history(
    store: Store,
    consumer: Consumer,
    mapping: Mapping,
    key: Key,
    root: Any,
    wrote: Wrote | None,
    stuck: Stuck | None,
) -> list[Event]:
    """All of it, the oldest first. `root`: the key's shape as the source means it now, None without one."""
    found = [
        *_hints(store, consumer, mapping.root, key, root),
        *_passes(store, consumer),
        *_checks(store, consumer, keys.text(key)),
    ]
    if wrote is not None and wrote.at:
        found.append(Event(wrote.at, "write", f"the last write, because of: {wrote.reason}", wrote.position))
    if stuck is not None:
        found.append(Event(stuck.first_at, "stuck", f"{stuck.stage} failed for the first time"))
        if stuck.attempts > 1:
            text = f"{stuck.stage} failed, attempt {stuck.attempts}: {stuck.error}"
            found.append(Event(stuck.last_at, "stuck", text))
    if found:
        found += _around(store, consumer, min(event.happened_at for event in found))
    return sorted(found, key=lambda event: event.happened_at)


def _around(store: Store, consumer: Consumer, since: float) -> list[Event]:
    """What happened meanwhile to its mapping, source and target, and may have touched it: the newest."""
    of = (consumer.mapping, consumer.source, consumer.target)
    found = [
        Event(one.at, "event", f"{one.kind}{'' if one.subject == of[0] else f' {one.subject}'}: {one.text}")
        for one in store.events.since(since)
        if one.subject in of and one.kind in _TOUCHING
    ]
    return found[-EVENTS:]


def _hints(store: Store, consumer: Consumer, root: Node, key: Key, shape: Any) -> Iterator[Event]:
    rows: Tree = {root.table.name: {key}}
    if shape is not None:
        for node, at in itertools.islice(_rows(root, shape), ROWS):
            rows.setdefault(node.table.name, set()).add(at)
    told: set[tuple[int, str, str]] = set()
    for appended, entry in store.journal.naming(
        consumer.streams, [one for some in rows.values() for one in some]
    ):
        for hint in entry.hints:
            about = _about(hint, entry, consumer, rows, root, key)
            if about is None:
                continue
            once = (entry.origin or entry.offset, about, hint.reason)
            if once in told:  # expanded from a change that is told of
                continue
            told.add(once)
            yield Event(hint.at or appended, "hint", about, hint.position)
            if len(told) >= HINTS:
                return


def _about(hint: Hint, entry: Entry, consumer: Consumer, rows: Tree, root: Node, key: Key) -> str | None:
    """What a hint says of the key, None where it is of others."""
    if entry.stream == consumer_stream(consumer.id):
        return f"asked for: {hint.reason}" if key == hint.key or key in hint.keys else None
    wanted = {hint.key, *hint.keys}
    for one in rows.get(hint.table, set()) & wanted:
        return f"{hint.reason} of {hint.table} {keys.text(one)}"
    for node in root.children:
        if node.table.name == hint.table and hint.key is not None and _hangs(node, hint, root, key):
            return f"{hint.reason} of {hint.table} {keys.text(hint.key)}"
    return None


def _hangs(node: Node, hint: Hint, root: Node, key: Key) -> bool:
    """Whether the row of a hint hung on the root before the change, or does after it."""
    if set(node.down) != set(root.table.key) or hint.key is None:
        return False
    own = dict(zip(node.table.key, keys.decode(hint.key), strict=True))
    above = dict(zip(root.table.key, keys.decode(key), strict=True))
    wanted = [above[name] for name in node.down]
    return any(
        [own[name] if name in own else keys.decode_one(image.get(name)) for name in node.up] == wanted
        for image in (hint.before or {}, hint.after or {})
    )


def _rows(node: Node, shape: Any) -> Iterator[tuple[Node, Key]]:
    """The rows of a tree, with their nodes; a link's row is not known by its shape."""
    fields = {field.name: field.field for field in node.fields if isinstance(field, Column)}
    values = [getattr(shape, fields[name]) for name in node.table.key if name in fields]
    if len(values) == len(node.table.key):
        yield node, keys.encode(values)
    for child in node.children:
        below = child.children[0] if child.cls is None else child
        held = getattr(shape, child.field)
        for one in held if isinstance(held, list) else [held]:
            if one is not None:
                yield from _rows(below, one)


def _passes(store: Store, consumer: Consumer) -> Iterator[Event]:
    for one in store.backfills.of(consumer.id):
        yield Event(one.started_at, "backfill", f"a pass over all keys began: {one.reason}")
        if one.finished_at is not None:
            yield Event(one.finished_at, "backfill", f"a pass over all keys ended: {one.reason}")


def _checks(store: Store, consumer: Consumer, key: str) -> Iterator[Event]:
    for one in store.reports.of_key(consumer.id, key):
        found = msgspec.json.decode(one.body, type=Divergence)
        because = f", probably {found.cause}" if found.cause else ""
        yield Event(one.first_at, "check", f"a {one.method} check found it {one.kind}{because}")
        if one.last_at > one.first_at:
            yield Event(one.last_at, "check", f"report {one.report} saw it last: {one.kind}")
        if one.accepted_at is not None:
            text = f"accepted by {one.accepted_by}: {one.because}"
            yield Event(one.accepted_at, "accepted", text)
        if one.closed_at is not None:
            yield Event(one.closed_at, "closed", f"a check no longer saw it {one.kind}")
