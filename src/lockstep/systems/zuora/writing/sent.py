"""What was sent of an account, while only some of the requests of a change were done. Pure.

An edit by others is what was not sent. So what a request has made is sent, also where a later one of the same
change is declined: else the next change would take Lockstep's own writing for an edit.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from lockstep.systems.zuora.models import Account


class Makes(NamedTuple):
    """What is as it should be once a request is done: the account's own fields, and these subscriptions."""

    fields: bool = False
    subscriptions: frozenset[str] = frozenset()


def sent_after(before: Account | None, should: Account | None, makes: Makes) -> Account | None:
    """As it was sent, once a request is done: of what that makes as it should be, of all else as before."""
    if should is None or (before is None and not makes.fields):
        return before
    subscriptions = {} if before is None else {one.key: one for one in before.subscriptions}
    wanted = {one.key: one for one in should.subscriptions}
    for number in makes.subscriptions:
        subscriptions.pop(number, None)
        if number in wanted:
            subscriptions[number] = wanted[number]
    fields = should if makes.fields or before is None else before
    return replace(fields, subscriptions=tuple(subscriptions.values()))
