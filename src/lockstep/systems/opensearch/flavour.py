"""What tells OpenSearch from its relatives: whatever may differ between them is asked of a `Flavour`."""

from __future__ import annotations

from typing import NamedTuple


class Flavour(NamedTuple):
    """One kind of server.

    distribution  what it calls itself in its greeting (None: it does not say)
    minimum       the first version whose behaviour is relied on
    primary       query parameter that has a search answered by primary shards alone. A replica that copies
                  segments is behind even after a refresh
    """

    title: str
    distribution: str | None
    minimum: tuple[int, int]
    primary: str


OPENSEARCH = Flavour("OpenSearch", "opensearch", (2, 0), "preference=_primary")
