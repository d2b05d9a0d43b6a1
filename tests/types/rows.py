"""A table with a column for every kind, rows that hold their cases, and what a target should hold of them."""

from __future__ import annotations

import re
import types
from collections.abc import Sequence
from typing import Any, NamedTuple

import lockstep as ls
from lockstep.catalog import Catalog
from lockstep.exploration.models import write_models
from lockstep.forms.canonical import canonical
from tests.types.kinds import Case, Kind

ALONE = 1_000
"""Rows from this number hold one case alone, which is stuck somewhere."""

FILLER = range(2_000, 2_080)
"""Rows with nothing in them, so that those that are stuck are not most."""

AGAIN = 5_000
"""What is added to a row's number where its values come again, in another way."""


class Cell(NamedTuple):
    """A case of a kind, in its column."""

    column: str
    kind: Kind
    case: Case


def column_names(kinds: Sequence[Kind]) -> list[str]:
    """One for each kind: its type, as a name."""
    return [
        f"{re.sub('[^a-z0-9]+', '_', kind.declared.lower()).strip('_')}_{n}" for n, kind in enumerate(kinds)
    ]


def rows(kinds: Sequence[Kind]) -> dict[int, list[Cell]]:
    """The cells of every row by its number; what is not there is null."""
    found: dict[int, list[Cell]] = {number: [] for number in FILLER}
    alone = ALONE
    for column, kind in zip(column_names(kinds), kinds, strict=True):
        number = 1
        for case in kind.cases:
            if case.plain:
                found.setdefault(number, []).append(Cell(column, kind, case))
                number += 1
            else:
                found[alone] = [Cell(column, kind, case)]
                alone += 1
    return found


def record(number: int, cells: Sequence[Cell], columns: Sequence[str]) -> dict[str, Any]:
    """What a mapping that hands everything on makes of a row."""
    return {"id": number, **dict.fromkeys(columns), **{cell.column: cell.case.value for cell in cells}}


def forms(records: dict[int, dict[str, Any]]) -> dict[int, dict[str, bytes]]:
    """Records by the canonical form of each field."""
    return {
        number: {name: canonical({"": value}) for name, value in one.items()}
        for number, one in records.items()
    }


def models(catalog: Catalog) -> tuple[str, types.ModuleType]:
    """What `explore` writes of a catalog, and the module that it is."""
    text = write_models(catalog, url_hint=None)
    module = types.ModuleType("explored_models")
    exec(compile(text, "models.py", "exec"), vars(module))
    return text, module


def handing_on(model: type[ls.Model]) -> Any:
    """A mapping of all fields, as they are."""
    fields = model.__struct_fields__  # type: ignore[attr-defined]

    def everything(row: Any) -> dict[str, object]:
        return {field: getattr(row, field) for field in fields}

    everything.__annotations__ = {"row": model, "return": dict[str, object]}
    return everything
