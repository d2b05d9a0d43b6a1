from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstep.place import Place, StateUrl
from lockstep.state.store import Store

pytest_plugins = ["lockstep.testing.pytest_plugin"]

LONGEST = (
    "soak/test_soak.py",
    "model/test_model.py",
    "relations/test_matrix.py",
    "pairs/test_memory.py",
    "agreement/test_adopt_search.py",
    "pairs/test_shared.py",
    "pairs/test_target_down.py",
    "pairs/test_target_faults.py",
    "pairs/test_killed.py",
    "zuora/test_explore.py",
    "unit/test_explore_models.py",
    "crash/test_opening.py",
    "systems/test_opensearch_saved_private.py",
    "schemas/test_altered.py",
)
"""Files of a few tests that take half a minute and more. They begin first: two processes share the files, and
one would wait for the other at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


@pytest.fixture(params=["files", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Where a state store may be made, on each dialect. Stores that a test leaves open are closed."""
    opened: list[Store] = []
    make = Store.__init__

    def noted(self: Store, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        opened.append(self)

    monkeypatch.setattr(Store, "__init__", noted)
    if request.param == "files":
        yield tmp_path / "state"
    else:
        yield StateUrl(request.getfixturevalue("postgres_url"))
    for one in opened:
        one.close()
