from __future__ import annotations

from collections.abc import Iterator

import pytest

from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.notes import MemoryNotes


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    """A tenant that sells what the small app's customers may be on."""
    made = app.stocked(zuora_twin)
    yield made
    made.http.close()


@pytest.fixture
def notes() -> MemoryNotes:
    return MemoryNotes()
