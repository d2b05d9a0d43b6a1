"""Reserving: changes that follow from no source key, and so have no intent, count with all others."""

from __future__ import annotations

from collections.abc import Callable

from lockstep.state import counted
from lockstep.state.books import Books
from lockstep.state.counted import Reserved, Window


class Reservations:
    """What is counted of a generation lately, and what is added to it before it is written."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def ask(
        self, generation: int, consumer: int, reserve: Callable[[Window], Reserved], seconds: float
    ) -> None:
        """Raises what `reserve` raises as it is now; counts nothing."""
        with self._database.reading() as connection:
            reserve(counted.window(connection, generation, consumer, seconds))

    def reserve(
        self,
        epoch: int,
        generation: int,
        consumer: int,
        reserve: Callable[[Window], Reserved],
        seconds: float,
    ) -> None:
        """Counts what `reserve` says, for good: what is then not written, as the process dies, counts too, so
        that no number of deaths lets more through. What it raises leaves nothing behind."""
        with self._database.under(epoch) as connection:
            counted.reserved(
                connection, generation, reserve(counted.window(connection, generation, consumer, seconds))
            )
