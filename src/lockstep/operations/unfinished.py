"""Deep checks that were interrupted: whether one can go on, and where."""

from __future__ import annotations

import msgspec

from lockstep.agreement.bookmark import Bookmark, Reached
from lockstep.agreement.report import Divergence
from lockstep.declaration.mapping import Mapping
from lockstep.engine.recipe import recipe
from lockstep.guard.door import Door
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Key


def bookmark_of(mapping: Mapping, consumer: Consumer, store: Store, door: Door) -> Bookmark:
    """Of a check that begins now: it could only go on with this mapping and this target."""
    identity = door.identity()
    target = "" if identity is None else f"{identity.system} {identity.target} {identity.marker}"
    basis = {"mapping": mapping.version, "shape": recipe(mapping), "target": target}
    return Bookmark(store.checks, consumer.id, basis)


def amiss(consumer: Consumer, store: Store) -> list[Key]:
    """Source keys of which a check told that only the ledger is wrong, and that is open. Such a row may be of
    a key that neither side has, to which no walk over both leads."""
    opened = (
        msgspec.json.decode(one.body, type=Divergence)
        for one in store.reports.divergences(consumer.id)
        if one.kind == "ledger"
    )
    return [one.source for one in opened if one.source is not None]


def going_on(bookmark: Bookmark, consumer: Consumer, store: Store) -> Reached | str:
    """Where an earlier check was; or, for a person, why it begins at the first key."""
    opened = [
        msgspec.json.decode(one.body, type=Divergence) for one in store.reports.divergences(consumer.id)
    ]
    found = bookmark.resume({one.source for one in opened if one.source is not None})
    return f"it began at the first key: {found}" if isinstance(found, str) else found
