"""Credentials that stop being right half-way, on an Elasticsearch with its security on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from lockstep.errors import Refused
from lockstep.systems.opensearch import Elasticsearch
from lockstep.testing.servers import Elasticsearch9Server, SearchHandle
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version

ADMIN = ("lockstep-tests", "not-a-secret")
ALL = {"users*": ["all"]}
PATIENCE = 60.0


@pytest.fixture(scope="module")
def server(elasticsearch9_server: SearchHandle) -> Iterator[Elasticsearch9Server]:
    """A server of our own. The shared one says whether it can be had at all."""
    with Elasticsearch9Server(credentials=ADMIN) as server:
        yield server


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "what was changed does not take effect"
        time.sleep(0.1)


def test_a_writer_whose_rights_are_taken_away_is_refused_and_goes_on_when_they_are_back(
    server: Elasticsearch9Server,
) -> None:
    server.account("ada", "first-password", ALL)
    target = Elasticsearch(server.url, auth=("ada", "first-password")).index("users")
    key = target.key((1,))
    change = Change(key, {"name": "Ada"}, Meta("m", key, Fingerprint(1), 1, version(1, 1)))

    def refusal() -> Refused | None:
        try:
            assert writer.write([change]) == [Outcome(Status.APPLIED)]
        except Refused as refused:
            return refused
        return None

    def refused(word: str) -> str:
        """How it is mended, once the server refuses with that word."""
        until(lambda: word in str(refusal()))
        found = refusal()
        assert found is not None
        assert "password" not in str(found)
        return found.remedy

    with contextlib.closing(target.open(1)) as writer:
        until(lambda: not any(one.blocks for one in target.check()))
        writer.create("marker")
        assert writer.write([change]) == [Outcome(Status.APPLIED)]
        server.account("ada", "first-password", {})
        assert "privileges" in refused("unauthorized")
        server.account("ada", "second-password", ALL)
        assert "password" in refused("401")
        assert [one.blocks for one in target.check()] == [True]
        server.account("ada", "first-password", ALL)
        until(lambda: refusal() is None)
        assert writer.read([key])[key].record == {"name": "Ada"}
