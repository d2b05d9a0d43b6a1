from __future__ import annotations

from collections.abc import Iterator

import pytest

from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.tenant import Tenant
from tests.twins.api import Api, opened, stocked


@pytest.fixture
def api() -> Iterator[Api]:
    """A new tenant with a catalogue, on the first day of 2025."""
    with ZuoraTwin(Tenant()) as twin:
        made = opened(twin)
        made.clock("2025-01-01")
        yield stocked(made)
        made.http.close()
