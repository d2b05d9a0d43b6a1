"""What a person must say before a build takes the place of what is searched: a swap is a plan too."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.declaration.mapping import Mapping
from lockstep.errors import Declined
from lockstep.limits import REFILL, Guard
from lockstep.ports import Target
from lockstep.state.builds import Build
from lockstep.state.store import Store


def not_far_fewer(target: Target, mappings: Sequence[Mapping], records: int, before: int | None) -> None:
    """Raises Declined where a build would take away far more of what is searched, or should be, than the
    guard lets be removed unasked. `before` is None where nobody knows."""
    guard = next((one.guard for one in mappings if one.guard is not None), None) or Guard()
    if before is None or before - records <= max(guard.free, guard.share * before):
        return
    raise Declined(
        f"the new build of {target.name} agrees with its source and holds {records:,} records, where there "
        f"were {before:,}",
        "Is the source what it should be? If that is what is meant: the same again with --fewer. Nothing was "
        "swapped.",
    )


def nothing_held(store: Store, live: Build) -> None:
    """Raises Declined where the guard holds changes of the live build: a new build would simply have them."""
    for consumer in store.generations.following(live.id):
        for hold in store.holds.of(consumer.id):
            if hold.state != "approved" and set(hold.kinds) != {REFILL}:
                raise Declined(
                    f"the guard holds changes of {hold.mapping} (hold {hold.id}): {hold.reason}",
                    f"A restored build would have them. Decide first: `lockstep approve {hold.id} --why …` "
                    "if they are right, or mend the source; or all the same: --despite-holds.",
                )
