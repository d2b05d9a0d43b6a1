"""The product on the run's own server, and on a server that may be stopped and broken."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.testing.servers import PostgresServer
from tests.accidents.world import Product


@pytest.fixture(autouse=True)
def _impatient(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again more often than usual: what heals is the same."""
    caplog.set_level(logging.WARNING, "lockstep")
    monkeypatch.setattr("lockstep.engine.sources.source._LONGEST_WAIT", 0.5)
    monkeypatch.setattr("lockstep.engine.consumers.patience._LONGEST_WAIT", 0.5)


@pytest.fixture
def product(tmp_path: Path, postgres_url: str) -> Iterator[Product]:
    with contextlib.closing(Product(tmp_path, postgres_url)) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, private_postgres: PostgresServer) -> Iterator[Product]:
    with contextlib.closing(Product(tmp_path, private_postgres.database("app"))) as made:
        yield made
