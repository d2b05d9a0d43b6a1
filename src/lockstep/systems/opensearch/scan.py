"""Documents in the order of their ids, without the heap that sorting by `_id` costs the cluster.

Sorting by `_id` makes the server load every id of the index into memory, and may be forbidden. Documents of
Lockstep repeat their id in `_lockstep.id`, which is sorted on disk. Those that Lockstep did not write are
few, normally none: up to ten thousand are sorted here and merged in; only with more does the server sort.

A document whose `_lockstep.id` is not its id was copied by somebody else from one of ours. It would come at
a wrong place, and so go unnoticed by whoever merges; the scan stops and names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lockstep.errors import DataError, Refused, SystemError_, TargetReplaced
from lockstep.systems.opensearch import bulk, documents, wire
from lockstep.systems.opensearch.answering import assert_whole
from lockstep.systems.opensearch.client import Client
from lockstep.values import Contents, Held, Key, Version

_ID = f"{wire.META}.id"
_OURS = {"exists": {"field": _ID}}
_FOREIGN = {"bool": {"must_not": [_OURS]}}
_PAGE = 2000
_HIGHEST: dict[str, Any] = {
    "size": 1,
    "track_total_hits": True,
    "_source": False,
    "sort": [{f"{wire.META}.version": {"order": "desc", "missing": 0, "unmapped_type": "long"}}],
}
"""The highest version by sorting: exact, where a maximum by aggregation is a double."""

MOST_FOREIGN = 10_000


class Scanner:
    """The pages of one index. `stale`: something was written since the last refresh."""

    def __init__(self, client: Client, index: str) -> None:
        self._client = client
        self._index = index
        self.stale = True
        self._end: Key | None = None  # the last key of the last page: where the same walk goes on
        self._foreign: list[str] | None = []

    def refresh(self) -> None:
        """Makes everything that was acknowledged visible to searches."""
        self.stale = False  # before, so that a write in the meantime makes it stale again
        try:
            answer = self._client.ask("POST", f"/{self._index}/_refresh")
            if answer is None:
                raise self.gone()
            if answer.get("_shards", {}).get("failed", 1):
                raise self._client.rubbish(repr(answer).encode())
        except SystemError_:
            self.stale = True
            raise

    def contents(self) -> Contents:
        """What the last refresh has made visible."""
        hits = self.answer(_HIGHEST)
        try:
            highest = max([0, *(hit["sort"][0] or 0 for hit in hits["hits"])])
            return Contents(hits["total"]["value"], Version(highest))
        except (KeyError, TypeError) as error:
            raise self._client.rubbish(repr(hits).encode()) from error

    def page(self, after: Key | None, limit: int) -> list[Held]:
        """The next documents after a key. A walk is refreshed at its start and after own writes."""
        if limit <= 0:
            return []
        end, self._end = self._end, None  # forgotten should this page fail
        if self.stale or after is None or after != end:
            self.refresh()
            self._foreign = self._foreign_ids()
        start = None if after is None else bulk.id_of(after)
        if self._foreign is None:
            page = self._sorted_by_server(start, limit)
        else:
            page = self._merged(self._foreign, start, limit)
        self._end = page[-1].key if page else after
        return page

    def documents(self, ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Documents by id, as they are now."""
        answer = self._client.ask(
            "POST", f"/{self._index}/_mget?{self._client.flavour.copies}", {"ids": list(ids)}
        )
        if answer is None:
            raise self.gone()
        answered = answer.get("docs")
        if not isinstance(answered, list) or len(answered) != len(ids):
            raise self._client.rubbish(repr(answer).encode())
        for found, document in zip(ids, answered, strict=True):
            if document.get("error"):
                if document["error"].get("type") == "index_not_found_exception":
                    raise self.gone()
                raise self._client.failure(503, wire.plain({"error": document["error"]}))
            if document.get("_id") != found:
                raise self._client.rubbish(repr(document).encode())
            if document.get("found"):
                yield found, documents.source(document)

    def _merged(self, foreign: list[str], start: str | None, limit: int) -> list[Held]:
        """Ours in the order of `_lockstep.id`, with the others put where they belong."""
        page = [documents.held(hit) for hit in self._ours(start, limit)]
        after = b"" if start is None else bulk.key_of(start)
        until = page[-1].key if len(page) == limit else None
        among = [
            found
            for found in foreign
            if (key := bulk.key_of(found)) > after and (until is None or key < until)
        ]
        here = {held.key for held in page}  # one of theirs may have become ours since they were listed,
        theirs: list[Held] = []
        step = min(limit, _PAGE)
        for at in range(0, len(among), step):  # or be gone, so that the next ones move up
            for found, source in self.documents(among[at : at + step]):
                if (key := bulk.key_of(found)) not in here:
                    theirs.append(Held(key, *wire.split(found, source)))
            if len(theirs) >= limit:
                break
        page += theirs
        page.sort(key=lambda held: held.key)
        return page[:limit]

    def _ours(self, start: str | None, limit: int) -> Iterator[dict[str, Any]]:
        left = limit
        while left > 0:
            size = min(left, _PAGE)
            hits = self._search(_OURS, _ID, start, size + 1)  # one more, to see a copy at the page's edge
            for hit in hits:
                if hit["sort"] != [hit["_id"]]:
                    raise self._copied(hit)
            yield from hits[:size]
            if len(hits) <= size:
                return
            left -= size
            start = hits[size - 1]["_id"]

    def _sorted_by_server(self, start: str | None, limit: int) -> list[Held]:
        page: list[Held] = []
        while len(page) < limit:
            size = min(limit - len(page), _PAGE)
            try:
                hits = self._search({"match_all": {}}, "_id", start, size)
            except Refused as error:
                raise Refused(
                    f"{self._index} has more than {MOST_FOREIGN} documents that are not Lockstep's, and the "
                    f"cluster does not sort by id: {error}",
                    "Allow it (indices.id_field_data.enabled: true), or remove those documents.",
                ) from error
            page += [documents.held(hit) for hit in hits]
            if len(hits) < size:
                break
            start = hits[-1]["_id"]
        return page

    def _foreign_ids(self) -> list[str] | None:
        """The ids of documents that Lockstep did not write, in order; None if they are too many."""
        many = self.answer({"query": _FOREIGN, "size": 0, "track_total_hits": MOST_FOREIGN + 1})
        total = many["total"]["value"]
        if total > MOST_FOREIGN:
            return None
        if not total:
            return []
        request = {"query": _FOREIGN, "size": MOST_FOREIGN, "_source": False, "sort": ["_doc"]}
        return sorted((hit["_id"] for hit in self.answer(request)["hits"]), key=bulk.key_of)

    def _search(self, query: Any, by: str, start: str | None, size: int) -> list[dict[str, Any]]:
        request = {"query": query, "size": size, "track_total_hits": False, "sort": [{by: "asc"}]}
        if start is not None:
            request["search_after"] = [start]
        hits: list[dict[str, Any]] = self.answer(request)["hits"]
        return hits

    def answer(self, request: Any) -> Any:
        """The hits of a search that every shard answered in full."""
        path = f"/{self._index}/_search?allow_partial_search_results=false&{self._client.flavour.copies}"
        answer = self._client.ask("POST", path, request)
        if answer is None:
            raise self.gone()
        try:
            assert_whole(self._client, answer)
            hits = answer["hits"]
            if not isinstance(hits["hits"], list):
                raise self._client.rubbish(repr(answer).encode())
            return hits
        except (KeyError, TypeError) as error:
            raise self._client.rubbish(repr(answer).encode()) from error

    def gone(self) -> TargetReplaced:
        return TargetReplaced(
            f"the index {self._index} is not there",
            "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.",
        )

    def _copied(self, hit: dict[str, Any]) -> DataError:
        found, original = hit["_id"], hit["sort"][0]
        other = f"{self._index} holds a document {found!r} that somebody copied from Lockstep's {original!r}"
        return DataError(other, f"Delete it (DELETE /{self._index}/_doc/{found}), or its field {wire.META}.")
