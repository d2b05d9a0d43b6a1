"""A target holds of every type what the list says, however it came; and verify sees what was spoilt."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import lockstep as ls
from lockstep.forms.canonical import canonical
from tests.types import rows
from tests.types.world import World


def insert(number: int, cells: list[rows.Cell]) -> str:
    names = ", ".join(("id", *(cell.column for cell in cells)))
    values = ", ".join((str(number), *(cell.case.literal for cell in cells)))
    return f"INSERT INTO everything ({names}) VALUES ({values})"


def update(number: int, cells: list[rows.Cell]) -> str:
    values = ", ".join(f"{cell.column} = {cell.case.literal}" for cell in cells)
    return f"UPDATE everything SET {values} WHERE id = {number}"


def carried(one: World, do: Callable[..., None]) -> None:
    """In a snapshot, as an insert and as an update of nulls live: the same. Then spoilt, and found."""
    early = {number: cells for number, cells in one.rows.items() if number < rows.ALONE or number % 2}
    do(*(insert(number, cells) for number, cells in early.items()))
    nulls = [number + rows.AGAIN for number in early if number < rows.ALONE]
    do(*(insert(number, []) for number in nulls))
    one.run()
    do(*(insert(number, cells) for number, cells in one.rows.items() if number not in early))
    do(*(update(number, one.rows[number - rows.AGAIN]) for number in nulls))
    one.run()

    stuck = one.stuck()
    rejected = {str(number) for number, found in stuck.items() if found.stage == "write"}
    for number, cells in one.rows.items():
        for cell in cells:
            for reason in (cell.case.stuck.get("source"), cell.case.stuck.get(one.to)):
                if reason is not None:
                    assert reason in stuck.pop(number).error, (cell.kind.declared, cell.case.literal)
    assert {number: found.error for number, found in stuck.items()} == {}

    expected = rows.forms(one.expected())
    for number in nulls:
        expected[number] = {**expected[number - rows.AGAIN], "id": canonical({"": number})}
    actual = rows.forms(one.actual())
    for number, fields in expected.items():
        for name, form in fields.items():
            assert actual[number][name] == form, (number, name)
    assert actual.keys() == expected.keys()
    report = ls.verify(one.pipeline, "everything", method="deep")
    missing = {d.key for d in report.divergences if d.kind != "failed"}
    assert missing == rejected

    wanted = {number: cells[0] for number, cells in one.rows.items() if cells and number in expected}
    records = one.actual()
    spoilt: dict[int, dict[str, Any]] = {}
    places: dict[str | None, list[str]] = {}
    wanted |= dict(zip(rows.FILLER, one.rows[1], strict=False))
    for number, cell in wanted.items():
        spoilt[number] = {**records[number], cell.column: one.another(cell, number)}
        places[str(number)] = [cell.column]
    one.spoil(spoilt)
    report = ls.verify(one.pipeline, "everything", method="deep")
    found = {
        d.key: [re.split(r"[.\[]", field.path)[0] for field in d.fields]
        for d in report.divergences
        if d.kind == "different"
    }
    assert found == places
