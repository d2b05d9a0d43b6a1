"""Decide: what was derived, against what the ledger says was sent, or what the target holds. Pure.

Nothing here does I/O, so it is what the property tests attack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from lockstep.declaration.mapping import Desired
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.state.rows import Owned, Row, owns
from lockstep.values import Held, Key, Trust


class Decision(Struct, frozen=True):
    """For one source key: records to put, target keys to remove, and what it owns once that is done.

    `lost`: how many of the records to put the ledger knows, and the target has no more. `absent`: how many of
    those to remove the target, read now, does not hold: removed lest something older land, and no loss."""

    puts: Sequence[Desired]
    removes: Sequence[Key]
    owns: Mapping[Key, Owned]
    lost: int = 0
    absent: int = 0

    @property
    def idle(self) -> bool:
        return not self.puts and not self.removes


_NOTHING: Mapping[Key, Owned] = MappingProxyType({})


def owned(row: Row | None, default: Callable[[Key], Key]) -> Mapping[Key, Owned]:
    """What a ledger row says its source key owns, by target key. `default` gives the target key that
    follows from a source key: that of a row in short form."""
    return _NOTHING if row is None else {item.key: item for item in owns(row, default)}


def asks_target(row: Row | None, trust: Trust) -> bool:
    """Whether the target must be read before deciding."""
    return trust is Trust.TARGET or (row is not None and row.void)


def decide(
    desired: Sequence[Desired],
    known: Mapping[Key, Owned],
    held: Mapping[Key, Held] | None,
    mine: tuple[str, Key],
) -> Decision:
    """What to write.

    `known` is what the ledger says is owned. `held` is None for an ordinary change, which trusts it;
    else what the target holds now of the desired and the known keys. `mine` is (mapping, source key):
    a record that says it is another's is never removed.

    A known key of which nobody can say what was last sent (a crash, a connection that broke) is written
    even where the target is as it should be: the lost write may still be on its way, and only a newer
    version keeps it from landing later.
    """
    if held is None and not known:  # the first load, nearly all of it
        return Decision(desired, (), _NOTHING)
    puts: list[Desired] = []
    keeps: dict[Key, Owned] = {}
    lost = 0
    for item in desired:
        before = known.get(item.key)
        if held is None:
            equal = before is not None and before.sent == item.fingerprint
        else:
            in_doubt = before is not None and before.sent is None
            equal = not in_doubt and _holds(held.get(item.key), item, before, mine)
        if equal and before is not None:
            keeps[item.key] = Owned(item.key, item.fingerprint, before.held, before.left and held is None)
        elif equal:
            keeps[item.key] = Owned(item.key, item.fingerprint)
        else:
            puts.append(item)
            if held is not None and item.key not in held and before is not None and before.sent is not None:
                lost += 1
    wanted = {item.key for item in desired}
    removes = [key for key in known if key not in wanted and _removable(known[key], held, mine)]
    absent = 0 if held is None else sum(key not in held for key in removes)
    return Decision(puts, removes, keeps, lost, absent)


def _holds(held: Held | None, item: Desired, before: Owned | None, mine: tuple[str, Key]) -> bool:
    """Whether the target holds what was derived, and says it is from here."""
    if held is None or held.meta is None or (held.meta.mapping, held.meta.key) != mine:
        return False
    if held.meta.fingerprint != item.fingerprint:
        return False
    actual = fingerprint(held.key, canonical(held.record))
    if actual == item.fingerprint:
        return True
    return before is not None and before.sent == item.fingerprint and before.held == actual


def _removable(item: Owned, held: Mapping[Key, Held] | None, mine: tuple[str, Key]) -> bool:
    if held is None:
        return not item.left
    found = held.get(item.key)
    if found is None:
        return item.sent is None  # in doubt: removed so that nothing older can land
    return found.meta is not None and (found.meta.mapping, found.meta.key) == mine
