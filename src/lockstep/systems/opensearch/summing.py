"""What documents say of themselves, added up by the cluster, span after span of source keys.

A sum of the cluster's is a double, which holds 53 bits: so halves of fingerprints are kept, and summed. A
span is a range of `_lockstep.key`, which is indexed; many go into one request.

A copy of one of our documents under another id counts as what it says it is: within the server's sums nobody
knows a document's id. The deep check finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lockstep.forms.canonical import joined64
from lockstep.systems.opensearch import bulk, wire
from lockstep.systems.opensearch.answering import assert_whole
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.scan import Scanner
from lockstep.values import EVERYTHING, Key, Mark, Meta, Span, Tallies, Tally, Version

_TOGETHER = 100
"""Spans in one request."""

_PAGE = 10_000
"""A cluster's limit, where nobody has raised it."""

_HALVES = ("high", "low")
_REPLY = ",".join(
    f"responses.{part}" for part in ("hits.total", "aggregations", "_shards", "timed_out", "error")
)
_NAMES = ("id", "key", *_HALVES, "sum", "version")


class Summing:
    """The sums of one index."""

    def __init__(self, client: Client, index: str, scanner: Scanner) -> None:
        self._client = client
        self._index = index
        self._scanner = scanner
        self._header = {"index": index, **dict([client.flavour.copies.split("=")])}

    def sums(self, mapping: str, cuts: Sequence[Key], within: Span) -> Tallies:
        self._scanner.refresh()
        spans = [Span(*pair) for pair in zip([within.after, *cuts], [*cuts, within.upto], strict=True)]
        found: list[Tally] = []
        for start in range(0, len(spans), _TOGETHER):
            requests: list[Any] = []
            for span in spans[start : start + _TOGETHER]:
                requests += [self._header, _summed(_within(mapping, span))]
            found += map(self._tally, self._client.ask_many(f"/_msearch?filter_path={_REPLY}", requests))
        others = self._besides([mapping], 0)["total"]["value"] if within == EVERYTHING else None
        return Tallies(found, others)

    def _tally(self, answer: dict[str, Any]) -> Tally:
        if (error := answer.get("error")) is not None:
            raise self._client.failure(503, wire.plain({"error": error}))
        try:
            assert_whole(self._client, answer)
            high, low = (int(answer["aggregations"][half]["value"]) for half in _HALVES)
            return Tally(answer["hits"]["total"]["value"], joined64(high, low))
        except (KeyError, TypeError) as error:
            raise self._client.rubbish(repr(answer).encode()) from error

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        self._scanner.refresh()
        after: list[Any] | None = None
        while True:
            request = {
                "size": _PAGE,
                "track_total_hits": False,
                "_source": False,
                "query": _within(mapping, span),
                "docvalue_fields": [f"{wire.META}.{name}" for name in _NAMES],
                "sort": [{f"{wire.META}.id": "asc"}],
            }
            hits = self._scanner.answer(request if after is None else request | {"search_after": after})[
                "hits"
            ]
            try:
                yield [_mark(mapping, hit) for hit in hits]
            except (KeyError, TypeError, ValueError) as error:
                raise self._client.rubbish(repr(hits).encode()) from error
            if len(hits) < _PAGE:
                return
            after = hits[-1]["sort"]

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        self._scanner.refresh()
        hits = self._besides(mappings, limit)
        return hits["total"]["value"], sorted(bulk.key_of(hit["_id"]) for hit in hits["hits"])

    def _besides(self, mappings: Sequence[str], limit: int) -> dict[str, Any]:
        """How many documents are of none of these mappings, and some of them."""
        ours = {"terms": {f"{wire.META}.mapping": list(mappings)}}
        request = {"query": {"bool": {"must_not": [ours]}}, "size": limit, "track_total_hits": True}
        hits: dict[str, Any] = self._scanner.answer(request | {"_source": False, "sort": ["_doc"]})
        return hits


def _within(mapping: str, span: Span) -> dict[str, Any]:
    """A query for a mapping's documents whose source keys are in a span."""
    bounds = {"gt": span.after and span.after.hex(), "lte": span.upto and span.upto.hex()}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    key = f"{wire.META}.key"
    inside = {"range": {key: given}} if given else {"exists": {"field": key}}
    return {"bool": {"filter": [{"term": {f"{wire.META}.mapping": mapping}}, inside]}}


def _summed(query: dict[str, Any]) -> dict[str, Any]:
    halves = {half: {"sum": {"field": f"{wire.META}.{half}"}} for half in _HALVES}
    return {"size": 0, "track_total_hits": True, "query": query, "aggs": halves}


def _mark(mapping: str, hit: dict[str, Any]) -> Mark:
    """What a document says. One that says not enough, as somebody wrote into it, says 0 of the rest."""
    found = hit.get("fields", {})
    said = {name: found.get(f"{wire.META}.{name}", [0])[0] for name in _NAMES}
    meta = Meta(
        mapping,
        Key(bytes.fromhex(said["key"])),
        wire.fingerprint_of(said),
        int(said["sum"]),
        Version(int(said["version"])),
    )
    return Mark(bulk.key_of(hit["_id"]), meta)
