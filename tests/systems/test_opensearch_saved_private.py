"""Saved states when the whole server is killed in the middle, and when their place is full."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstep.errors import Refused
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.testing.servers import OpenSearchHandle, OpenSearchServer
from lockstep.testing.writer_hooks import change, write
from lockstep.values import Held, version


@pytest.fixture(scope="module")
def server(opensearch_server: OpenSearchHandle) -> Iterator[OpenSearchServer]:
    """One's own. The shared one says whether it can be had at all."""
    with OpenSearchServer() as server:
        yield server


def target(server: OpenSearchServer, name: str, **settings: Any) -> SearchIndex:
    location = str(Path(server.snapshots, name))
    snapshots = {"name": name, "type": "fs", "settings": {"location": location, **settings}}
    index = {"number_of_replicas": 0, "number_of_shards": 2}
    return OpenSearch(server.url, snapshots=snapshots).index(
        name, mappings={"dynamic": False}, settings=index
    )


def fill(target: SearchIndex, count: int) -> list[Held]:
    """A few megabytes that do not compress."""
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        for start in range(0, count, 200):
            records = ((n, {"text": os.urandom(2000).hex()}) for n in range(start, start + 200))
            write(writer, *(change(target.key((f"k{n:05d}",)), one, version(1, 1)) for n, one in records))
        return writer.scan(None, count + 1)


def amid(server: OpenSearchServer, work: Callable[[], Any], progress: Callable[[], float | None]) -> float:
    """Does something in a thread while the server is killed and started again; how far it was at the kill."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not (share := progress() or 0.0) and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert thread.is_alive(), "it was over too soon to be killed in the middle"
    server.kill()
    server.start()
    thread.join(120)
    assert not thread.is_alive()
    if failed:
        raise failed[0]
    return share


def test_a_server_killed_in_the_middle_ends_no_save_and_no_restore(server: OpenSearchServer) -> None:
    slow = target(server, "slow", max_snapshot_bytes_per_sec="1mb", max_restore_bytes_per_sec="1mb")
    held = fill(slow, 1400)
    with contextlib.closing(slow.repository()) as repository:
        share = amid(server, lambda: repository.save(1, "one"), repository.progress)
        assert 0 < share < 1
        assert [one.name for one in repository.saved()] == ["one"]
        assert repository.damage("one") is None
        share = amid(server, lambda: repository.restore("one", 2, "back"), repository.progress)
        assert 0 < share < 1
    with contextlib.closing(slow.open(2)) as restored:
        identity = restored.identity()
        assert identity is not None
        assert identity.marker == "back"
        assert restored.scan(None, 2000) == held


def test_a_place_that_is_full_is_said_and_nothing_half_made_stays(server: OpenSearchServer) -> None:
    small = target(server, "small")
    place = Path(server.snapshots, "small")
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small file system")
    try:
        fill(small, 600)
        with contextlib.closing(small.repository()) as repository:
            with pytest.raises(Refused, match="full") as refused:
                repository.save(1, "one")
            assert "Free space" in refused.value.remedy
            assert repository.saved() == []
            assert repository.damage("one") is not None
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
