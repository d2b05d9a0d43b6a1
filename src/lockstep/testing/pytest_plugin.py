"""Fixtures with real servers: `pytest_plugins = ["lockstep.testing.pytest_plugin"]` in a conftest.

The `…_server` fixtures share one server of each kind among all processes of a test run, pytest-xdist's
workers included: the first that asks starts it, and it ends once the last of them has ended. A test that
stops or kills its server takes a `private_…` one. Where a server cannot be had the test is skipped, or fails
if `LOCKSTEP_REQUIRE_SERVERS=1` is set, which is for those who must not skip without noticing.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from .servers import (
    ElasticsearchHandle,
    OpenSearchHandle,
    OpenSearchServer,
    PostgresHandle,
    PostgresServer,
    SearchServer,
    ServerFailed,
    ServerUnavailable,
)
from .servers._support import locked

if TYPE_CHECKING:
    from lockstep.twins.zuora.server import ZuoraTwin

# A law that fails shows the values, as a test of one's own does.
pytest.register_assert_rewrite(
    *(
        f"lockstep.testing.{law}"
        for law in (
            *("reader_law", "keys_law", "feed_law", "writer_law", "writer_records", "writer_hooks"),
            *("restorable_law", "restorable_refusals", "restorable_hooks", "killed_law", "generational_law"),
        )
    )
)

_Server = TypeVar("_Server", bound=PostgresServer | SearchServer)


@pytest.fixture(scope="session")
def postgres_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresHandle]:
    """The run's PostgreSQL, on which each test makes databases of its own."""
    with _shared("postgres", _run_directory(request, tmp_path_factory)) as address:
        yield PostgresHandle(**address)


@pytest.fixture(scope="session")
def postgres15_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresHandle]:
    """The run's PostgreSQL of an older major, which Debian packages."""
    with _shared("postgres15", _run_directory(request, tmp_path_factory)) as address:
        yield PostgresHandle(**address)


@pytest.fixture(scope="session")
def opensearch_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenSearchHandle]:
    """The run's OpenSearch. Other tests use it at the same time: name indexes so that they are yours."""
    with _shared("opensearch", _run_directory(request, tmp_path_factory)) as address:
        yield OpenSearchHandle(**address)


@pytest.fixture(scope="session")
def opensearch3_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenSearchHandle]:
    """The run's OpenSearch 3."""
    with _shared("opensearch3", _run_directory(request, tmp_path_factory)) as address:
        yield OpenSearchHandle(**address)


@pytest.fixture(scope="session")
def elasticsearch8_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ElasticsearchHandle]:
    """The run's Elasticsearch 8."""
    with _shared("elasticsearch8", _run_directory(request, tmp_path_factory)) as address:
        yield ElasticsearchHandle(**address)


@pytest.fixture(scope="session")
def elasticsearch9_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ElasticsearchHandle]:
    """The run's Elasticsearch 9."""
    with _shared("elasticsearch9", _run_directory(request, tmp_path_factory)) as address:
        yield ElasticsearchHandle(**address)


@pytest.fixture
def postgres_url(postgres_server: PostgresHandle) -> Iterator[str]:
    """The address of an empty database, dropped after the test."""
    with postgres_server.temporary_database() as url:
        yield url


@pytest.fixture
def postgres15_url(postgres15_server: PostgresHandle) -> Iterator[str]:
    """The address of an empty database on the older major, dropped after the test."""
    with postgres15_server.temporary_database() as url:
        yield url


@pytest.fixture
def private_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for this test alone, which may be stopped, killed and started again."""
    with _started(PostgresServer()) as server:
        yield server


@pytest.fixture
def private_opensearch() -> Iterator[OpenSearchServer]:
    """An OpenSearch for this test alone, which may be stopped, killed and started again."""
    with _started(OpenSearchServer()) as server:
        yield server


@pytest.fixture
def zuora_twin() -> Iterator["ZuoraTwin"]:
    """A stand-in of Zuora for this test alone: an empty tenant in memory, on a free port."""
    pytest.importorskip("uvicorn", reason="the stand-in needs: pip install 'lockstep-sync[twins]'")
    from lockstep.twins.zuora.server import ZuoraTwin
    from lockstep.twins.zuora.tenant import Tenant

    with ZuoraTwin(Tenant()) as twin:
        yield twin


@contextlib.contextmanager
def _started(server: _Server) -> Iterator[_Server]:
    try:
        server.start()
    except ServerUnavailable as error:
        _missing(str(error))
    with server:
        yield server


def _run_directory(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Path:
    """The same directory for all processes of a run: xdist gives each worker one below the run's."""
    own = factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@contextlib.contextmanager
def _shared(kind: str, directory: Path) -> Iterator[dict[str, Any]]:
    """The address of the run's server of this kind, which stays up until we and all others have left."""
    users, answer = directory / f"{kind}.users", directory / f"{kind}.json"
    with open(users, "a") as file:
        with locked(directory / f"{kind}.lock"):
            fcntl.flock(file, fcntl.LOCK_SH)  # says that the server is in use; waits if it is just leaving
            if not answer.exists():
                answer.write_text(_start(kind, users))
        outcome = json.loads(answer.read_text())
        if reason := outcome.get("unavailable"):
            _missing(reason)
        if problem := outcome.get("failed"):
            raise ServerFailed(problem)
        yield outcome["address"]


def _start(kind: str, users: Path) -> str:
    """Start a process that keeps the server for all, and return what it says once it is up."""
    command = [sys.executable, "-m", "lockstep.testing.servers", kind, str(users)]
    with open(users.with_suffix(".log"), "ab") as log:
        said = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log).stdout
    if not said:
        raise ServerFailed(f"the keeper of {kind} ended: {users.with_suffix('.log').read_text()[-3000:]}")
    return said.decode()


def _missing(reason: str) -> NoReturn:
    if os.environ.get("LOCKSTEP_REQUIRE_SERVERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
