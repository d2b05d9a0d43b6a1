"""The model-based test: by its seed always the same in CI; `make model` tries new ones for minutes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lockstep.testing.servers import PostgresHandle
from tests.model.machine import Machine
from tests.model.postgres import PostgresWorld
from tests.model.statements import sqlite_statements
from tests.support.world import World

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES") or 0)


def _settings(examples: int) -> settings:
    long = EXAMPLES > 0
    return settings(
        max_examples=EXAMPLES or examples,
        stateful_step_count=40 if long else 25,
        deadline=None,
        derandomize=not long,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if long else [Phase.generate],
        print_blob=True,
    )


@pytest.fixture
def postgres_machine(postgres_server: PostgresHandle) -> type[Machine]:
    class OnPostgres(Machine):
        concurrent = True

        def new(self, root: Path) -> World:
            return PostgresWorld(root, postgres_server.database())

        def dispose(self) -> None:
            assert isinstance(self.world, PostgresWorld)
            postgres_server.drop(self.world.url.rpartition("/")[2])

    return OnPostgres


class OnSQLite(Machine):
    concurrent = False
    statements = sqlite_statements

    def new(self, root: Path) -> World:
        return World(root)


@pytest.mark.timeout(3_600 if EXAMPLES else 300)
def test_postgres_with_transactions_that_overlap(postgres_machine: type[Machine]) -> None:
    run_state_machine_as_test(postgres_machine, settings=_settings(6))


@pytest.mark.timeout(3_600 if EXAMPLES else 300)
def test_sqlite(tmp_path: Path) -> None:
    run_state_machine_as_test(OnSQLite, settings=_settings(8))
