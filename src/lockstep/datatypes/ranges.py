"""Ranges of values, as PostgreSQL has them.

A `Range` is a dict in the form that search clusters take for their range fields, so a mapping may hand one
on as it is: `{"gte": 1, "lt": 5}`. A side that is not there has no bound; `{}` holds every value, and
`{"empty": True}` none. A bound that is infinity is not the same as none, here as in the database.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Range(dict[str, Any], Generic[T]):
    """`Range(1, 5)` is 1 ≤ x < 5; None is no bound; `bounds` says whether each end belongs to it."""

    def __init__(self, lower: T | None = None, upper: T | None = None, bounds: str = "[)") -> None:
        super().__init__()
        if lower is not None:
            self["gte" if bounds[0] == "[" else "gt"] = lower
        if upper is not None:
            self["lte" if bounds[1] == "]" else "lt"] = upper

    @classmethod
    def nothing(cls) -> Range[T]:
        """The empty range."""
        made: Range[T] = cls()
        made["empty"] = True
        return made

    @property
    def lower(self) -> T | None:
        """The lower bound; None where there is none."""
        found: T | None = self.get("gte", self.get("gt"))
        return found

    @property
    def upper(self) -> T | None:
        """The upper bound; None where there is none."""
        found: T | None = self.get("lte", self.get("lt"))
        return found

    @property
    def bounds(self) -> str:
        """`[)`: which ends belong to it. One that is not there never does."""
        return ("[" if "gte" in self else "(") + ("]" if "lte" in self else ")")

    @property
    def empty(self) -> bool:
        """Whether it holds nothing."""
        return "empty" in self
