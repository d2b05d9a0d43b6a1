"""The tutorial does what it says: its commands are typed, and print what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.docs.console import Terminal, agree, blocks, normal

from lockstep.testing.servers import OpenSearchHandle, PostgresServer

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
FILES = ("python", "diff")
MODELS = "env -u APP_DATABASE_URL python app.py && lockstep explore app.db -o models.py"
SECOND_PART = "\n## The same between servers\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "tutorial"
    path.mkdir()
    return path


def test_nothing_but_python(directory: Path) -> None:
    first, _, _ = PAGE.read_text().partition(SECOND_PART)
    Terminal(directory, {}).play(first)


def test_between_servers(
    directory: Path, private_postgres: PostgresServer, opensearch_server: OpenSearchHandle
) -> None:
    """On top of the files of the first part. A PostgreSQL for itself: the slot has its usual name."""
    if shutil.which("curl") is None:
        pytest.skip("the tutorial asks OpenSearch with curl")
    environment = {"APP_DATABASE_URL": private_postgres.url(), "OPENSEARCH_URL": opensearch_server.url}
    terminal = Terminal(directory, environment)
    first, _, second = PAGE.read_text().partition(SECOND_PART)
    files = "\n".join(f"```{one.language}\n{one.text}```" for one in blocks(first) if one.language in FILES)
    terminal.play(files)
    terminal.play(f"```console\n$ {MODELS}\n…\n```")
    terminal.play(second)


def test_times_may_be_others_and_words_may_not() -> None:
    line = "users  done 3 s ago  2026-03-08 14:03:22 +0100, in 495 ms"
    assert normal(line) == normal("users   done 1 min 5 s ago 2027-01-01 00:00:00 +0000, in 1.2 s\n\n")
    assert normal(line) != normal(line.replace("users", "people"))
    assert agree(["a", "…", "d"], ["a", "b", "c", "d"])
    assert agree(["…"], [])
    assert not agree(["a", "…"], ["b"])
    assert not agree(["a"], ["a", "b"])
