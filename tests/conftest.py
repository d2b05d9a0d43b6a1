from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstep.place import Place, StateUrl
from lockstep.state.store import Store

pytest_plugins = ["lockstep.testing.pytest_plugin"]


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
