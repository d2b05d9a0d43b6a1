"""Who does it: an API user, and a person in the vendor's own UI. Records say which by `createdById`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class User(NamedTuple):
    """An OAuth client and the user it acts as. The official SDK wants client ids of 36 characters."""

    id: str
    client_id: str
    client_secret: str


SERVICE = User("8a" + "0" * 29 + "1", "00000000-0000-4000-8000-000000000001", "twin-secret")
PERSON = User("8a" + "0" * 29 + "2", "00000000-0000-4000-8000-000000000002", "twin-person")
USERS = (SERVICE, PERSON)

_ACTING: ContextVar[str] = ContextVar("acting", default=SERVICE.id)


def acting() -> str:
    """The id of the user for whom this thread is at work."""
    return _ACTING.get()


@contextmanager
def acting_as(id: str) -> Iterator[None]:
    token = _ACTING.set(id)
    try:
        yield
    finally:
        _ACTING.reset(token)
