"""What the list of types is made of: a kind is a type of a source with the values that are hard for it.

From the same list come the tests and the page docs/types.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TARGETS = ("opensearch", "tantivy", "sqlite", "postgres")


@dataclass(frozen=True)
class Case:
    """A value. `literal` is SQL of the source, `value` what a mapping sees.

    `stuck`: a part of the reason, where its key is stuck: by target, or "source" for all of them. `shown`:
    how the page shows a literal that is long. `note`: what a reader should know of it.
    """

    literal: str
    value: Any = None
    stuck: dict[str, str] = field(default_factory=dict)
    shown: str = ""
    note: str = ""

    @property
    def plain(self) -> bool:
        """Whether it reaches every target, so that it may share a row with others."""
        return not self.stuck


@dataclass(frozen=True)
class Kind:
    """A type. `declared`: as a column of the source. `python`: the annotation that `explore` writes.

    `form`: in which words the page says the canonical form. `search`: the mapping of an index that can search
    it; `sqlite`: the column that holds it exactly. `key`: whether it can be a key, and if not why.
    """

    declared: str
    python: str
    form: str
    search: str
    sqlite: str
    cases: tuple[Case, ...]
    key: str = "yes"
    note: str = ""


TOO_LONG = {"opensearch": "Number value length"}
DEEP = {"opensearch": "index.mapping.depth.limit"}
NO_NUMBER = {"opensearch": "is not a number that JSON has"}
NO_NAN = {**NO_NUMBER, "sqlite": "SQLite holds no NaN"}
