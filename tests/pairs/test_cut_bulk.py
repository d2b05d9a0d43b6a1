"""The line to a search cluster is cut at a byte, in the middle of a bulk request or of its answer: nothing is
lost, nothing comes back, and no key is stuck."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import lockstep as ls
from lockstep.engine.consumers import patience
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import OpenSearchHandle
from tests.pairs.world import SCHEMA, Following, World, until

MORE = 400
"""Users with long addresses: a bulk request of them is more than 100,000 bytes, its answer some 10,000."""


class Cuttable(World):
    """The small product, written over a line that may be cut."""

    def __init__(self, root: Path, url: str, server: str) -> None:
        at = urlsplit(server)
        self.proxy = Proxy(str(at.hostname), int(at.port or 0))
        self.name = f"cuttable_{uuid.uuid4().hex[:8]}"
        super().__init__(root, url, f"opensearch|http://127.0.0.1:{self.proxy.port}|{self.name}")
        self.do(*SCHEMA.strip().rstrip(";").split(";"))
        self.do(
            "INSERT INTO users SELECT i, i % 5 + 1, repeat('u', 300) || i"
            f" FROM generate_series(1001, {1000 + MORE}) i"
        )

    def change(self, turn: int) -> None:
        """Updates of nearly all, deletes, and what was deleted the turn before comes back."""
        gone = 1000 + turn * 7
        self.do(
            f"UPDATE users SET email = repeat('v', 300) || '{turn}.' || id WHERE id > 1000",
            f"INSERT INTO users VALUES ({gone - 7 if turn else 900}, 1, 'back')"
            " ON CONFLICT (id) DO UPDATE SET email = 'there'",
            f"DELETE FROM users WHERE id IN ({gone}, {turn + 1})",
            "UPDATE users SET email = 'away' WHERE id BETWEEN 40 AND 60",
        )

    def back(self) -> None:
        """Some are as they were before the change: as the ledger knows them, whatever the target holds."""
        self.do("UPDATE users SET email = 'U' || id || '@example.com' WHERE id BETWEEN 40 AND 60")


@pytest.fixture
def cuttable(
    tmp_path: Path, postgres_url: str, opensearch_server: OpenSearchHandle, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cuttable]:
    monkeypatch.setattr(patience, "_LONGEST_WAIT", 0.3)
    made = Cuttable(tmp_path, postgres_url, opensearch_server.url)
    with made.proxy:
        yield made
        url = f"{opensearch_server.url}/{made.name}*?ignore_unavailable=true"
        httpx.delete(url, timeout=30).raise_for_status()


def test_cut_at_any_byte_of_a_bulk_request_and_of_its_answer(cuttable: Cuttable) -> None:
    chance = random.Random(7)
    at = [(octets, False) for octets in (0, 1, 700, chance.randrange(1_000, 50_000), 90_000)]
    at += [(octets, True) for octets in (0, 1, 300, *(chance.randrange(300, 6_000) for _ in range(2)))]
    chance.shuffle(at)
    wanted = 60 + MORE
    with Following(cuttable) as following:
        until(lambda: len(cuttable.actual_or_none()) == wanted)
        for turn, (octets, answers) in enumerate(at):
            cuts = cuttable.proxy.cuts
            cuttable.proxy.cut_after(octets, answers=answers)
            cuttable.change(turn)
            until(lambda cuts=cuts: cuttable.proxy.cuts > cuts)  # type: ignore[misc]
            cuttable.back()
            until(lambda: cuttable.actual_or_none() == cuttable.expected())
        assert following.result is None, "it has stopped"
    assert list(ls.stuck(cuttable.root / "state", "people")) == []
    cuttable.assert_agreement()
