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

    def window(self, generation: int, consumer: int, seconds: float) -> Window:
        """As it is now, to look at. Its `usual` is not to be asked: nothing is read any more."""
        with self._database.reading() as connection:
            return counted.window(connection, generation, consumer, seconds)

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
