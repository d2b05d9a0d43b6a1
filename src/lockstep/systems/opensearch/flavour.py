"""What tells OpenSearch from Elasticsearch: whatever may differ between them is asked of a `Flavour`."""

from __future__ import annotations

from typing import Any, NamedTuple


class Flavour(NamedTuple):
    """One kind of server.

    distribution  what it calls itself in its greeting (None: it does not say)
    minimum       the first version whose behaviour is relied on
    copies        query parameter that says which copies of a shard answer a search, so that all pages of a
                  walk see every acknowledged write
    whole         settings without which a document does not come back as it was sent, in those versions that
                  know them
    """

    title: str
    distribution: str | None
    minimum: tuple[int, int]
    copies: str
    whole: tuple[tuple[str, Any], ...]


OPENSEARCH = Flavour(
    "OpenSearch",
    "opensearch",
    (2, 0),
    "preference=_primary",  # a replica that copies segments is behind even after a refresh
    (),
)
ELASTICSEARCH = Flavour(
    "Elasticsearch",
    None,
    (8, 0),
    "preference=lockstep",  # always the same copies; a replica has applied a write before it is answered
    (("index.mapping.exclude_source_vectors", False),),
)

FLAVOURS = (OPENSEARCH, ELASTICSEARCH)
