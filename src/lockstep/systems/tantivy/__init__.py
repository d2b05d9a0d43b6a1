"""Tantivy: a search index in a directory, inside this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lockstep.systems.tantivy.target import TantivyTarget

__all__ = ["Tantivy"]


class Tantivy:
    """A directory of indexes, as declared: `ls.Tantivy("search")`. Opens nothing until it is used.

    `snapshots` is the directory for saved states, by default one beside: `search-snapshots`. On the same file
    system they share the files of the index; only on another disk do they outlive this one.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, snapshots: str | os.PathLike[str] | None = None
    ) -> None:
        self._name = f"tantivy:{os.fspath(directory)}"
        self._path = Path(directory)
        self._snapshots = _beside(self._path) if snapshots is None else Path(snapshots)
        self._older = self._path / "snapshots" if snapshots is None else None

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Tantivy({os.fspath(self._path)!r})"

    def index(self, name: str, *, fields: Mapping[str, str] | None = None) -> TantivyTarget:
        """An index to write to. Everything can be searched without declaring it.

        `fields` names what queries such as `company.name:acme` may ask, by dotted path: "text" is cut into
        words, "exact" is not. Without it, every field is text.
        """
        return TantivyTarget(self._path, self._name, name, fields, self._snapshots, self._older)


def _beside(directory: Path) -> Path:
    """Not within: what wipes the indexes must leave what brings them back."""
    named = directory if directory.name not in ("", "..") else directory.absolute().resolve()
    return named.parent / f"{named.name}-snapshots"
