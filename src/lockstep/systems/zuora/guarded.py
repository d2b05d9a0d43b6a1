"""Edits in Zuora of what the app owns, where the mapping's target says that a person decides about them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lockstep.errors import DataError
from lockstep.systems.zuora.models import Account
from lockstep.systems.zuora.owners import Owned, Owners
from lockstep.systems.zuora.tree import FoundAccount


def assert_unedited(
    found: FoundAccount | None, sent: Account | None, should: Account, held: Collection[str]
) -> None:
    """Raises DataError where a field of `held` (name, or an own field, __c) is neither as it was sent nor as
    it should be."""
    if found is None or sent is None or not held:
        return
    owners = Owners({name: Owned("app", "hold") for name in held})
    wanted = _fields(should.name, should.custom, held)
    there = _fields(found.name, found.custom, held)
    judged = owners.judged(sent=_fields(sent.name, sent.custom, held), found=there, wanted=wanted)
    if judged.held:
        told = "; ".join(f"{one.field} was sent as {one.sent!r}, is {one.found!r}" for one in judged.drifted)
        raise DataError(
            f"account {should.key} was edited in Zuora: {told}",
            "Nothing of the account is written: set it back in Zuora, or let the app say the same; then "
            "`lockstep retry`",
        )


def _fields(name: str, custom: Any, held: Collection[str]) -> dict[str, Any]:
    return {one: name if one == "name" else custom.get(one) for one in held}
