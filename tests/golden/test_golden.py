"""The formats are what they were. A difference here breaks every ledger and target that is out there."""

from __future__ import annotations

import json

import pytest

from lockstep.forms import canonical, keys
from lockstep.journal.sql import decode_hints
from tests.golden.vectors import FILES, HERE, HINTS, VERSION


@pytest.mark.parametrize("name", FILES)
def test_nothing_has_changed(name: str) -> None:
    kept = json.loads((HERE / VERSION / name).read_text())
    assert FILES[name]() == kept, "a format has changed: see tests/golden/v1/README.md"


def test_the_formats_are_of_this_version() -> None:
    assert f"v{keys.FORMAT}" == f"v{canonical.FORMAT}" == VERSION


def test_hints_of_old_journals_can_be_read() -> None:
    kept = json.loads((HERE / VERSION / "hints.json").read_text())
    assert [decode_hints(bytes.fromhex(one["body"])) for one in kept] == HINTS
