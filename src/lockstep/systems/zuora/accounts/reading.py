"""Reads many accounts, several at once; one that cannot be read stops no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.tree import FoundAccount, accounts, whole
from lockstep.systems.zuora.api.client import Client
from lockstep.values import Key

_AT_ONCE = 8
"""Accounts that are read, or written, at the same time."""

T = TypeVar("T")
U = TypeVar("U")

Trees = dict[Key, FoundAccount | DataError]
"""What is there; an account that cannot be read is its error."""


class Several:
    """Does something for several accounts at once, over one client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(_AT_ONCE, "zuora")

    def trees(self, wanted: Mapping[Key, str]) -> Trees:
        """The accounts of these numbers, whole; those that are not there are left out."""
        there = accounts(self._client, list(wanted.values()))
        return self.whole({key: there[number] for key, number in wanted.items() if number in there})

    def whole(self, some: Mapping[Key, FoundAccount]) -> Trees:
        """Of accounts that are known themselves, all that hangs on them."""
        return dict(zip(some, self.each(self._one, list(some.values())), strict=True))

    def _one(self, account: FoundAccount) -> FoundAccount | DataError:
        try:
            return whole(self._client, account)
        except DataError as error:
            return error

    def each(self, action: Callable[[T], U], some: Sequence[T]) -> list[U]:
        """Raises what one of them raises, once all have ended."""
        futures = [self._threads.submit(action, one) for one in some]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def close(self) -> None:
        self._threads.shutdown()
