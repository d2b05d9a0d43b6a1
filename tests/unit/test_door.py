"""One door for writes: every policy must say go, and who only looks holds a door that is closed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.forms import keys
from lockstep.guard.door import Door, Plan
from lockstep.guard.policies import Closed
from lockstep.guard.policy import HeldBack
from lockstep.values import Change, Fingerprint, Meta, Version
from tests.support.memory import MemoryWriter

SOURCE = Path(__file__).parents[2] / "src" / "lockstep"
KEY = keys.encode((7,))
TARGET_OPENED = re.compile(r".*target\.open").fullmatch
CHANGE = Change(KEY, {"id": 7}, Meta("users", KEY, Fingerprint(1), 1, Version(1 << 32)))


def test_nothing_passes_a_closed_door() -> None:
    writer = MemoryWriter()
    Door(writer).create("marker")
    Door(writer).write(Plan("users", 1, [CHANGE]))
    door = Door(writer, policies=(Closed(),))
    with pytest.raises(HeldBack):
        door.write(Plan("users", 1, [Change(KEY, None, CHANGE.meta)]))
    with pytest.raises(HeldBack):
        door.create("another")
    assert writer.marker == "marker"
    assert door.contents().records == 1
    assert door.read([KEY]) == writer.records
    assert door.scan(None, 10) == [writer.records[KEY]]


def opened_bare(path: Path) -> Iterator[str]:
    """Places of a file that open a target without putting it behind a door at once."""
    tree = ast.parse(path.read_text())
    behind = {
        id(call.args[0])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Door"
    }
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and id(call) not in behind and TARGET_OPENED(ast.unparse(call.func)):
            yield f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("layer", ["engine", "agreement", "operations", "cli"])
def test_nobody_holds_a_bare_writer(layer: str) -> None:
    """Nor can it name one: only the door imports the port. (The demo plays the vandal, and may.)"""
    for path in (SOURCE / layer).rglob("*.py"):
        assert list(opened_bare(path)) == []
        assert "Writer" not in set(path.read_text().replace(",", " ").split()), path
