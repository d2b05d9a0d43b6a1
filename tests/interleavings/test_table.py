"""Every scenario of the design's two reviews has its tests, or says which later work it waits for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = re.findall(r"^\| (F?\d+) \| (.+?) \| (.+) \|$", (HERE / "README.md").read_text(), flags=re.M)
LATER = [
    *("restore", "agreement", "deploy", "Zuora", "guard holds", "Kafka", "compliance", "MySQL"),
    *("second worker", "partial records"),
]


def test_every_scenario_is_there() -> None:
    assert [number for number, _, _ in ROWS] == [
        *(str(number) for number in range(1, 26)),
        *(f"F{number}" for number in range(1, 21)),
    ]


@pytest.mark.parametrize(("number", "tests"), [(number, tests) for number, _, tests in ROWS])
def test_what_it_names_is_there(number: str, tests: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", tests)
    later = re.findall(r"Later: ([^`|]+)", tests)
    assert named or later
    for file, name in named:
        assert f"def {name}(" in (HERE.parent / file).read_text(), f"{file}::{name}"
    for reason in later:
        assert any(word in reason for word in LATER), reason
