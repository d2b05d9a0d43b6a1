"""The books: the ledger's database, where a write is made under an epoch, or says why it needs none.

A run that stood still for an hour must not write what another has decided since. So nobody here has a
transaction that is not fenced, unless by asking for one with a reason: a forgotten epoch is a type error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum

import sqlalchemy as sa

from lockstep.database import Database
from lockstep.errors import LeaseLost
from lockstep.state import schema


class Unfenced(Enum):
    """Why a write needs no epoch."""

    DRAWS = "it makes the store, or draws the epoch itself"
    PERSON = "a person decides it, whoever runs"
    OWN = "it is about what this process itself did or saw, in rows that are its own"
    DEAD = "it forgets what nobody can come back to"


class Books:
    """A database of the state store whose writes are fenced. Each is one transaction, as `Database` says."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reading = database.reading
        self.close = database.close

    def noted(self, name: str) -> str | None:
        """What is noted of the store under a name, in its table `meta`."""
        with self.reading() as connection:
            return connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == name))

    @contextlib.contextmanager
    def under(self, epoch: int) -> Iterator[sa.Connection]:
        """A transaction of who holds this epoch. Raises LeaseLost when it is over."""
        with self._database.writing() as connection:
            fence(connection, epoch)
            yield connection

    @contextlib.contextmanager
    def unfenced(self, why: Unfenced) -> Iterator[sa.Connection]:
        """A transaction that anybody may make, at any time: `why` says what makes that safe."""
        with self._database.writing() as connection:
            yield connection


def fence(connection: sa.Connection, epoch: int) -> None:
    """Raises LeaseLost when this epoch is over: its scope has drawn a newer one."""
    drawn = schema.leases.c.epoch
    if connection.scalar(sa.select(drawn).where(drawn == epoch).limit(1)) is None:
        newest = connection.scalar(sa.select(sa.func.max(drawn)))
        raise LeaseLost(
            f"epoch {epoch} is over: {newest or 'none'} was drawn since",
            "Nothing is lost. Only one `lockstep run` may work a state store; end the other one.",
        )
