"""What was sent is let go once it was answered: garbage is collected seldom in a run (`operations.run`)."""

from __future__ import annotations

import contextlib
import gc

import httpx

from lockstep.systems.opensearch import OpenSearch
from lockstep.testing.http_proxy import HttpProxy


def test_what_was_sent_does_not_wait_for_a_collection() -> None:
    with HttpProxy("http://127.0.0.1:1") as between:  # it answers by itself
        between.before = lambda path, body: (200, b"{}")
        with contextlib.closing(OpenSearch(between.url).connect()) as client:
            gc.collect()
            gc.disable()
            try:
                assert client.send("POST", "/users/_bulk", b"{}\n" * 1000, lines=True) == (200, b"{}")
                left = [one for one in gc.get_objects() if isinstance(one, httpx.Request | httpx.Response)]
            finally:
                gc.enable()
    assert left == []
