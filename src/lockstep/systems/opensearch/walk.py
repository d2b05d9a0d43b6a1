"""All documents of an index in no order, page by page: for indices that cannot be sorted by id cheaply."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from lockstep.errors import SystemError_, Unreachable
from lockstep.systems.opensearch.answering import assert_whole
from lockstep.systems.opensearch.client import Client

_KEPT = "10m"
PAGE = 1_000


def pages(client: Client, index: str, request: dict[str, Any], where: str) -> Generator[list[dict[str, Any]]]:
    """The hits of a query as they were at its first page. `where`: the query parameter that says which copies
    answer. Whoever may leave before the end closes it, so that the cluster keeps nothing open."""
    path = f"/{index}/_search?scroll={_KEPT}&allow_partial_search_results=false&{where}"
    answer = client.ask("POST", path, {"size": PAGE, "sort": ["_doc"], **request})
    scroll = None
    try:
        while True:
            hits, scroll = _hits(client, index, answer)
            if not hits:
                return
            yield hits
            answer = _next(client, index, scroll)
    finally:
        if scroll and not client.closed:
            with contextlib.suppress(SystemError_):  # the cluster forgets it by itself, too
                client.send("DELETE", "/_search/scroll", client.content({"scroll_id": [scroll]}))


def _next(client: Client, index: str, scroll: str) -> Any:
    content = client.content({"scroll": _KEPT, "scroll_id": scroll})
    status, answer = client.send("POST", "/_search/scroll", content)
    if status == 404:
        raise Unreachable(
            f"the cluster has forgotten how far {index} was read",
            "A node went away, or the reading stood still for minutes: ask again.",
        )
    if status != 200:
        raise client.failure(status, answer)
    return client.parse(answer)


def _hits(client: Client, index: str, answer: Any) -> tuple[list[dict[str, Any]], str]:
    if answer is None:
        raise Unreachable(f"the index {index} is not there", "See who removes it, and ask again.")
    try:
        assert_whole(client, answer)
        return answer["hits"]["hits"], answer["_scroll_id"]
    except (KeyError, TypeError) as error:
        raise client.rubbish(repr(answer).encode()) from error
