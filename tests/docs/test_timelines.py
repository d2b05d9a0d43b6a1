"""The pages about timelines and Zuora say what is so: their examples are run, and the drawing is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.docs.console import blocks

from lockstep.cli.side_by_side import side_by_side

DOCS = Path(__file__).parents[2] / "docs"


def _run(page: Path) -> tuple[dict[str, Any], list[str]]:
    """The names its Python blocks make, one after another; and its blocks of text."""
    names: dict[str, Any] = {}
    found = blocks(page.read_text())
    for block in found:
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    return names, [block.text for block in found if block.language == "text"]


def test_timelines() -> None:
    names, drawing = _run(DOCS / "timelines.md")
    assert drawing == ["\n".join([*side_by_side(names["plan"], names["should"]), ""])]


def test_zuora() -> None:
    names, _ = _run(DOCS / "zuora.md")
    assert names["plan"].number == "S-7"
