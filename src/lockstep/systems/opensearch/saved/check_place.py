"""check: whether states of a target can be saved where it is declared. Registers nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lockstep.errors import LockstepError
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.saved.places import Place, Shelf
from lockstep.values import Finding


def check_place(client: Client, subject: str, place: Place) -> Iterator[Finding]:
    """What stands in the way of `lockstep snapshot`; none of it hinders a run."""
    shelf = Shelf(client, place)
    try:
        if shelf.registered():
            shelf.verify()
            return
    except LockstepError as error:
        yield Finding(subject, f"its state cannot be saved: {error}", error.remedy, blocks=False)
        return
    yield Finding(
        subject,
        f"the snapshot repository {place.name} is not registered yet, so nobody knows whether it can be used",
        "`lockstep snapshot` registers it, and saves a first state.",
        blocks=False,
    )
