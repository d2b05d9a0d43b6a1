"""Saved states where their place is full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

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


def target(server: OpenSearchServer, name: str) -> SearchIndex:
    location = str(Path(server.snapshots, name))
    snapshots = {"name": name, "type": "fs", "settings": {"location": location}}
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
