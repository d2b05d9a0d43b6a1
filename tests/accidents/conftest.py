"""The product on the run's own server, and on a server that may be stopped and broken."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.testing.servers import PostgresServer
from tests.accidents.world import Product


@pytest.fixture
def product(tmp_path: Path, postgres_url: str, caplog: pytest.LogCaptureFixture) -> Iterator[Product]:
    caplog.set_level(logging.WARNING, "lockstep")
    with contextlib.closing(Product(tmp_path, postgres_url)) as made:
        yield made


@pytest.fixture
def own(
    tmp_path: Path, private_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> Iterator[Product]:
    caplog.set_level(logging.WARNING, "lockstep")
    with contextlib.closing(Product(tmp_path, private_postgres.database("app"))) as made:
        yield made
