"""Copies what is nobody's yet from the index of others into ours, value for value, without metadata.

A document that Lockstep owns is never touched, and each write says which copy it replaces: one that Lockstep
writes meanwhile stays. So everything here can be repeated, and broken off anywhere.

What others change after the copy is found by the sequence number that the cluster gives each write, shard
by shard: the highest of each is noted before the copy. A document that Lockstep has removed since has an
older one: it does not come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from lockstep.errors import Refused, TargetReplaced
from lockstep.systems.opensearch import documents, walk, wire
from lockstep.systems.opensearch.adopting.indices import Origin
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Layout
from lockstep.systems.opensearch.reasons import BUSY, reason_of

_LARGEST = 8 << 20
_TRIES = 8
_UNOWNED = {"bool": {"must_not": [{"exists": {"field": f"{wire.META}.id"}}]}}

Note = Callable[[int], None]
Stopped = Callable[[], bool]


class _There(NamedTuple):
    """A copy of ours, as it is. `record`: None where Lockstep owns it."""

    record: dict[str, Any] | None
    seq_no: int
    term: int


class Carrier:
    """From one index into one generation. `carried`, `removed`: documents written, and taken away."""

    def __init__(self, client: Client, origin: Origin, names: Layout) -> None:
        self._client, self._origin, self._names = client, origin, names
        self.carried = self.removed = 0

    def marks(self) -> list[int]:
        """The highest sequence number of each shard's documents; -1 where it has none."""
        self._refresh(self._origin.name)
        asked = {
            "size": 1,
            "seq_no_primary_term": True,
            "_source": False,
            "sort": [{"_seq_no": {"order": "desc"}}],
        }
        marks = []
        for shard in range(self._origin.shards):
            path = f"/{self._origin.name}/_search?allow_partial_search_results=false&{self._of(shard)}"
            answer = self._client.ask("POST", path, asked)
            hits = answer["hits"]["hits"] if answer else []
            marks.append(max((hit["_seq_no"] for hit in hits), default=-1))
        return marks

    def all(self, note: Note, stopped: Stopped) -> bool:
        """Every document; False where stopped before the end."""
        self._refresh(self._origin.name)
        copies = self._client.flavour.copies
        return self._each({"query": {"match_all": {}}}, copies, note, stopped) and self._withdraw(stopped)

    def since(self, marks: Sequence[int], note: Note, stopped: Stopped) -> bool:
        """Those that were written after these marks, and those that were removed; False where stopped."""
        self._refresh(self._origin.name)
        for shard, mark in enumerate(marks):
            request = {"query": {"range": {"_seq_no": {"gt": mark}}}}
            if not self._each(request, self._of(shard), note, stopped):
                return False
        return self._withdraw(stopped)

    def _each(self, request: dict[str, Any], where: str, note: Note, stopped: Stopped) -> bool:
        with closing(walk.pages(self._client, self._origin.name, request, where)) as pages:
            for hits in pages:
                if stopped():
                    return False
                self._page({hit["_id"]: documents.source(hit) for hit in hits})
                note(len(hits))
        return True

    def _page(self, theirs: dict[str, dict[str, Any]]) -> None:
        there = self._copies(list(theirs))
        lines: list[bytes] = []
        for found, source in theirs.items():
            source.pop(wire.META, None)
            copy = there.get(found)
            document = wire.encode(source)
            if copy is not None and (copy.record is None or _is(copy.record, document)):
                continue
            head = b'{"create":{"_id":%b}}\n' % wire.text(found)
            if copy is not None:
                head = b'{"index":{"_id":%b,"if_seq_no":%d,"if_primary_term":%d}}\n' % (
                    wire.text(found),
                    copy.seq_no,
                    copy.term,
                )
            lines.append(head + document + b"\n")
        self.carried += self._send(lines)

    def _withdraw(self, stopped: Stopped) -> bool:
        """Takes away copies whose originals others have removed."""
        self._refresh(self._names.index)
        request = {"query": _UNOWNED, "_source": False, "seq_no_primary_term": True}
        copies = self._client.flavour.copies
        with closing(walk.pages(self._client, self._names.index, request, copies)) as pages:
            for hits in pages:
                if stopped():
                    return False
                self.removed += self._send(self._removals(hits))
        return True

    def _removals(self, hits: list[dict[str, Any]]) -> list[bytes]:
        """Lines that remove those of these copies whose original is not there."""
        path = f"/{self._origin.name}/_mget?_source=false&{self._client.flavour.copies}"
        answer = self._client.ask("POST", path, {"ids": [hit["_id"] for hit in hits]})
        standing = {one["_id"]: one.get("found") for one in (answer or {}).get("docs", [])}
        return [
            b'{"delete":{"_id":%b,"if_seq_no":%d,"if_primary_term":%d}}\n'
            % (wire.text(hit["_id"]), hit["_seq_no"], hit["_primary_term"])
            for hit in hits
            if standing.get(hit["_id"]) is False
        ]

    def _copies(self, ids: Sequence[str]) -> dict[str, _There]:
        owned = self._documents(ids, f"{wire.META}.id")
        free = [found for found, one in owned.items() if one.record is not None]
        return owned | self._documents(free, None)

    def _documents(self, ids: Sequence[str], only: str | None) -> dict[str, _There]:
        if not ids:
            return {}
        filtered = "" if only is None else f"&_source_includes={only}"
        path = f"/{self._names.index}/_mget?{self._client.flavour.copies}{filtered}"
        answer = self._client.ask("POST", path, {"ids": list(ids)}) or {}
        found: dict[str, _There] = {}
        for one in answer.get("docs", []):
            if one.get("error"):
                raise self._client.failure(503, wire.plain({"error": one["error"]}))
            if one.get("found"):
                beside = one.get("_source", {}).get(wire.META) or {}
                record = None if beside.get("id") == one["_id"] else one.get("_source", {})
                found[one["_id"]] = _There(record, one["_seq_no"], one["_primary_term"])
        return found

    def _send(self, lines: list[bytes]) -> int:
        """How many were taken. One that somebody has written meanwhile is left to them."""
        taken = 0
        for part in _parts(lines):
            waiting = part
            for attempt in range(_TRIES):
                done, waiting = self._bulk(waiting)
                taken += done
                if not waiting:
                    break
                time.sleep(0.05 * 2**attempt)
            else:
                raise self._client.busy("it takes no more documents")
        return taken

    def _bulk(self, lines: list[bytes]) -> tuple[int, list[bytes]]:
        path = f"/{self._names.door}/_bulk?require_alias=true&timeout=30s"
        status, answer = self._client.send("POST", path, b"".join(lines), lines=True)
        if status in BUSY:
            return 0, lines
        if status != 200:
            raise self._client.failure(status, answer)
        done, again = 0, []
        for line, said in zip(lines, self._client.parse(answer)["items"], strict=True):
            (one,) = said.values()
            if one["status"] in BUSY:
                again.append(line)
            elif one["status"] == 409 or (one["status"] == 404 and one.get("error") is None):
                continue  # somebody has written it meanwhile, or removed it
            elif one["status"] == 404:
                raise self._gone(str(reason_of(one["error"])))
            elif one["status"] >= 300:
                raise Refused(
                    f"{self._names.index} does not take the document {one['_id']!r} of {self._origin.name}: "
                    f"{reason_of(one.get('error'))}",
                    "Correct or remove that document, and ask again.",
                )
            else:
                done += 1
        return done, again

    def _gone(self, why: str) -> TargetReplaced:
        index, door = self._names.index, self._names.door
        return TargetReplaced(
            f"the index {index} is not there, or its alias for writing is not: {why}",
            f"Where the index stands, give it the alias again (PUT /{index}/_alias/{door}), and ask again.",
        )

    def _refresh(self, index: str) -> None:
        self._client.ask("POST", f"/{index}/_refresh")

    def _of(self, shard: int) -> str:
        name, _, copies = self._client.flavour.copies.partition("=")
        return f"{name}=_shards:{shard}%7C{copies}"


def _is(record: dict[str, Any], document: bytes) -> bool:
    """Whether a copy is this document to the letter; Python takes true for 1, and 1.0 too."""
    return wire.META not in record and wire.encode(record) == document


def _parts(lines: list[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > _LARGEST:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part
