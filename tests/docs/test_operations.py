"""docs/operations.md quotes what is really said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lockstep.operations.health import RESTART_MENDS, UNFOLLOWED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
CODE = re.sub(
    r'"\s*\n\s*f?"',
    "",
    "".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py"))),
)


def quoted() -> list[str]:
    """What stands in the first column of the tables of messages, in pieces between its gaps."""
    found: list[str] = []
    for table in PAGE.split("| it says |")[1:]:
        for line in table.partition("\n\n")[0].splitlines()[2:]:
            for message in re.findall(r"`([^`]+)`", line.split("|")[1]):
                found += [part for part in re.split(r"\s*…\s*", message) if len(part) > 2]
    return found


@pytest.mark.parametrize("words", quoted())
def test_what_is_quoted_is_said(words: str) -> None:
    assert words in CODE or words == "password authentication failed"  # that one is the server's own


def test_every_kind_of_illness_is_explained() -> None:
    kinds = {*re.findall(r'Ill\(\s*[^,]+,\s*"(\w+)"', CODE), *RESTART_MENDS, UNFOLLOWED}
    assert {"dead", "wedged", "stopped", "held", "waiting", "behind", "unfollowed", "log", "verify"} == kinds
    for kind in kinds:
        assert f"| `{kind}` |" in PAGE
