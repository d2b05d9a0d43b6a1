"""Whose turn it is to send of an account: one writer's of a process at a time.

A writer whose change is of another mapping's account, too, sends that account's open request again before its
own. Without turns that could be while its owner has the answer and is at its next request: a `PUT` knows no
idempotency key, and would put older fields back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator


class Turns:
    """Of the accounts of one tenant. Nobody asks for a turn within another one: two would wait for ever."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: set[str] = set()

    @contextlib.contextmanager
    def of(self, numbers: Collection[str]) -> Iterator[None]:
        """All of these accounts at once, when they are free."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken.isdisjoint(numbers))
            self._taken.update(numbers)
        try:
            yield
        finally:
            with self._changed:
                self._taken.difference_update(numbers)
                self._changed.notify_all()


_of_tenants: dict[str, Turns] = {}


def turns_of(system: str) -> Turns:
    """Those of a tenant, by its name: the same for all writers of this process."""
    return _of_tenants.setdefault(system, Turns())
