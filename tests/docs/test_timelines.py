"""The page about timelines says what is so: its examples are run, and its drawing is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.docs.console import blocks

from lockstep.cli.side_by_side import side_by_side

PAGE = Path(__file__).parents[2] / "docs" / "timelines.md"


def test_the_page() -> None:
    names: dict[str, Any] = {}
    found = blocks(PAGE.read_text())
    for block in found:
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), names)
    drawing = [block.text for block in found if block.language == "text"]
    assert drawing == ["\n".join([*side_by_side(names["plan"], names["should"]), ""])]
