"""Brings a build back from a saved state: the records, the ledger that speaks of them, and a hint of every
key that changed since.

What the ledger of the saved build says is inherited where it is still there, or that of a build which was
restored from it before: only what was written or removed since is derived again, however old the saved state
is and however short the journal. Else what the records say of themselves is read, and everything is derived
and compared.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Mapping_
from functools import partial
from typing import TypeVar

from msgspec import Struct

from lockstep.declaration.mapping import Mapping
from lockstep.engine.hints.addressed import addressed
from lockstep.engine.holds.target_watch import built_anew, identity_text
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.errors import Declined, NothingYet, Refused, UsageError
from lockstep.ports import Repository, Restorable, Target
from lockstep.recovery.building import Builder
from lockstep.recovery.deploy import beginning
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.snapshots import Snapshot, Taken
from lockstep.state.store import Store
from lockstep.values import Entry, Key, Lane, Stream, Trust, consumer_stream, version

T = TypeVar("T")

_AT_ONCE = 1_000
_MOST_STUCK = 100_000
_POLL = 0.2


class Revived(Struct, frozen=True):
    """`records` came back, `redriven` keys were hinted, or (None) all of them; `seconds` by step."""

    records: int
    redriven: int | None
    seconds: dict[str, float]


class Damaged(Refused):
    """A saved state that cannot be restored, whoever asks: it is marked so."""


def restorable(target: Target) -> Repository:
    """Where a target's saved states lie. Raises Declined where it has none."""
    if not isinstance(target, Restorable):
        raise Declined(
            f"{target.name} cannot be saved and restored",
            "`lockstep backfill MAPPING --rebuild` fills it anew from its source.",
        )
    return target.repository()


def chosen(store: Store, target: Target, wanted: str | None) -> Snapshot:
    """The saved state that a person named by number or name; the newest whole one where none is named.

    Raises NothingYet where it was never saved, UsageError or Declined that say what there is.
    """
    found = store.snapshots.of(target.name, "whole")
    if wanted is not None:
        found = [one for one in found if wanted in (str(one.id), one.name)]
    if found:
        return found[-1]
    known = ", ".join(f"{one.id} ({one.state})" for one in store.snapshots.of(target.name))
    if not known:
        raise NothingYet(
            f"{target.name} was never saved, so nothing can be brought back",
            f"Build it anew from its source: {built_anew(target)}. "
            f"Then save it: `lockstep snapshot {target.name}`.",
        )
    named = "no saved state" if wanted is None else f"no saved state {wanted}"
    wrong = Declined if wanted is None else UsageError  # a number that is not there is a slip of the hand
    raise wrong(
        f"there is {named} of {target.name} that is whole (known: {known})",
        f"`lockstep snapshots --all` lists them. Without one: {built_anew(target)}.",
    )


def revive(builder: Builder, saved: Snapshot, build: Build) -> Revived:
    """Restores a build and hints what it lacks. Safe to begin again. Raises Damaged where it is."""
    store, begun = builder.store, time.monotonic()
    repository = restorable(builder.target)
    try:
        try:
            restored = partial(repository.restore, saved.name, build.number, build.marker)
            identity = watched(builder.tell, repository, f"restoring {saved.name}", saved.records, restored)
        except Refused as error:
            if (damage := repository.damage(saved.name)) is not None:
                store.snapshots.spoilt(saved.id, damage)
                store.events.note(Kind.SNAPSHOT_FAILED, saved.target, f"saved state {saved.id}: {damage}")
                raise Damaged(str(error), error.remedy) from error
            raise error
    finally:
        repository.close()
    builder.lease.under(
        partial(store.generations.know_identity, generation=build.id, identity=identity_text(identity))
    )
    passing("build-restored")
    stood = time.monotonic()
    redriven: list[int | None] = []
    for name, consumer in builder.begin_consumers(build).items():
        known = store.backfills.newest(consumer.id)
        if known is None:
            redriven.append(_inherit(builder, saved, build, consumer, builder.pipeline.named(name)))
        else:  # done before a crash
            redriven.append(known.total)
    passing("build-hinted")
    counted = [one for one in redriven if one is not None]
    return Revived(
        builder.records(build) or 0,
        sum(counted) if len(counted) == len(redriven) else None,
        {"restore": stood - begun, "ledger": time.monotonic() - stood},
    )


def watched(
    tell: Callable[[str, int, int], None],
    repository: Repository,
    stage: str,
    records: int | None,
    work: Callable[[], T],
) -> T:
    """Does what a repository takes long for, and tells how far it is."""
    answer: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="lockstep-repository", daemon=True)
    thread.start()
    total = records or 100
    while thread.is_alive():
        thread.join(_POLL)
        share = repository.progress() if thread.is_alive() else 1.0
        tell(stage, int((share or 0.0) * total), total)
    if failed:
        raise failed[0]
    return answer[0]


def _inherit(
    builder: Builder, saved: Snapshot, build: Build, consumer: Consumer, mapping: Mapping
) -> int | None:
    """Makes the ledger of a consumer, and hints what the restored records lack: how many keys, None: all."""
    store = builder.store
    taken = saved.mappings.get(mapping.name)
    before = None if taken is None else _ledger_of(store, saved, taken, mapping.name)
    if taken is None or before is None:
        _found(builder, saved, build, consumer, mapping)
        return None
    table, heir = mapping.root.table.name, consumer.id
    count = 0

    def hint(keys: Iterable[Key]) -> None:
        nonlocal count
        for some in _batches(keys):
            store.journal.append(addressed(heir, table, some, "redrive", Trust.TARGET, Lane.BULK))
            count += len(some)

    positions = store.inheritance.positions(before.id)
    builder.lease.under(partial(store.inheritance.place, heir=heir, positions=positions))
    epoch = builder.lease.epoch
    for doubtful in store.inheritance.rows(epoch, before.id, heir, taken.since):
        hint(doubtful)
        builder.tell("ledger", count, count)
    if store.generations.claims(consumer.id):
        store.inheritance.claims(epoch, before.id, heir, build.id)
    store.inheritance.buried(epoch, before.id, heir, taken.since)
    covered = _covered(store, saved, taken, before, epoch)
    builder.lease.under(partial(store.inheritance.note_covered, consumer=heir, snapshots=covered))
    passing("build-inherited")
    for removed in store.inheritance.removed(before.id, taken.since):
        if mapping.key_is_root_key:  # else nobody knows where its record was: the check finds it
            builder.lease.under(
                partial(
                    store.ledger.adopt,
                    generation=build.id,
                    consumer=heir,
                    found={key: [mapping.default_key(key)] for key in removed},
                    default=mapping.default_key,
                    claiming=store.generations.claims(consumer.id),
                )
            )
        hint(removed)
    hint([one.key for one in store.stuck.of(before.id, limit=_MOST_STUCK)])
    _hand_over(store, before.id, heir, positions)
    if taken.version != mapping.version or before.recipe != recipe(mapping):
        builder.hint_all(consumer, mapping, "the mapping changed since", Trust.LEDGER)
        return None
    why = f"restored from saved state {saved.id}"
    builder.lease.under(partial(store.backfills.begin, consumer=heir, reason=why, total=count))
    return count


def _found(builder: Builder, saved: Snapshot, build: Build, consumer: Consumer, mapping: Mapping) -> None:
    """Nothing is left of the ledger of the saved build: its records say whose they are."""
    store = builder.store
    builder.lease.under(partial(store.generations.find, generation=build.id))
    live = store.builds.one(saved.target, "live") or build
    begin = beginning(store, live, mapping.source.name)
    builder.lease.under(partial(store.positions.place, consumer=consumer.id, positions=begin))
    why = f"restored from saved state {saved.id}, whose ledger is gone"
    builder.hint_all(consumer, mapping, why, Trust.TARGET)


def _ledger_of(store: Store, saved: Snapshot, taken: Taken, mapping: str) -> Consumer | None:
    """The consumer whose ledger speaks of the saved records; None where none does, or it is forgotten."""
    known = store.generations.known(taken.consumer)
    if known is not None and known.id not in store.generations.replaced():
        return known
    heirs = (
        one
        for state in ("live", "kept")
        for build in store.builds.of(saved.target, state)
        for one in store.generations.following(build.id)
        if one.mapping == mapping and saved.id in store.inheritance.covered(one.id)
    )
    return next(heirs, None)


def _covered(store: Store, saved: Snapshot, taken: Taken, before: Consumer, epoch: int) -> set[int]:
    """The saved states that the heir's ledger covers: this one, and the older ones that the ledger before
    speaks of. Of a later one it might take for untouched what was written between the two, and is as it was
    by now."""
    if taken.since >= version(epoch, 0):  # what the heir writes could look older
        return set()
    known = store.inheritance.covered(before.id)
    older = [
        (one.id, of)
        for one in store.snapshots.of(saved.target, "whole")
        if (of := one.mappings.get(before.mapping)) is not None and of.since <= taken.since
    ]
    return {number for number, of in older if of.consumer == before.id or number in known}


def _hand_over(store: Store, consumer: int, heir: int, positions: Mapping_[tuple[Stream, Lane], int]) -> None:
    """What was addressed to the other consumer, and that it had not settled, is addressed to the heir."""
    stream = consumer_stream(consumer)
    for lane in Lane:
        after = positions.get((stream, lane), 0)
        while entries := store.journal.read(stream, lane, {0: after}, _AT_ONCE):
            after = max(entry.offset for entry in entries)
            store.journal.append(
                [Entry(consumer_stream(heir), lane, entry.partition, entry.hints) for entry in entries]
            )


def _batches(keys: Iterable[Key]) -> Iterable[list[Key]]:
    left = iter(keys)
    while some := list(itertools.islice(left, _AT_ONCE)):
        yield some
