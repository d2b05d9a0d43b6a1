"""Writes, reads and identifies one generation of an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockstep.errors import CannotSum, Refused, SystemError_, Unreachable
from lockstep.ports import Features
from lockstep.systems.opensearch import bulk, layout, wire
from lockstep.systems.opensearch.adopting.foreign import ForeignIndex
from lockstep.systems.opensearch.client import Client, NotSent
from lockstep.systems.opensearch.creating import create_index
from lockstep.systems.opensearch.layout import Layout
from lockstep.systems.opensearch.pace import Pace
from lockstep.systems.opensearch.scan import Scanner
from lockstep.systems.opensearch.sending import Sending
from lockstep.systems.opensearch.standing import Standing, standing
from lockstep.systems.opensearch.summing import Summing
from lockstep.values import (
    EVERYTHING,
    Change,
    Contents,
    Estimate,
    Held,
    Identity,
    Key,
    Mark,
    Outcome,
    Span,
    Status,
    Tallies,
)

LARGEST_REQUEST = 8 << 20
_READ_AT_ONCE = 1000


class IndexWriter:
    """A `ports.Writer`. Version conflicts, and tombstones for `gc_deletes`, are the server's own.

    What the cluster was too busy for is sent again, slower and in smaller requests, for as long as there is
    progress: versions make that harmless. `write` raises Unreachable if nothing of the batch was sent or the
    cluster stays too busy, TargetReplaced or Refused if the trouble is the index itself; but for the first,
    a part of the batch may have been written.
    """

    features = Features(versions=True, normalises=False, parallel=3)

    def __init__(
        self,
        client: Client,
        names: Layout,
        mappings: Mapping[str, Any],
        settings: Mapping[str, Any],
        largest: int,
    ) -> None:
        self._client = client
        self._names = names
        self._mappings = mappings
        self._settings = settings
        self._pace = Pace(largest)
        self._scanner = Scanner(client, names.index)
        self._summing = Summing(client, names.index, self._scanner)
        self._narrow = False  # whether the index was made before `_lockstep` had all its fields

    def identity(self) -> Identity | None:
        """Cluster, index and marker, as the cluster's state has them: no shard is asked."""
        index = self._names.index
        half = f"*.mappings.properties.{wire.META}.properties.high.type"
        path = f"/{index}?filter_path=*.mappings._meta,*.settings.index.uuid,{half}"
        found = self._client.ask("GET", path)
        if found is None:
            return None
        if index not in found:  # an alias of that name, leading elsewhere; or no answer to this at all
            if all(isinstance(one, dict) and "settings" in one for one in found.values()) and found:
                return None
            raise self._client.rubbish(repr(found).encode())
        cluster = self._client.greeting().cluster
        if not cluster:
            raise self._client.rubbish(b"a greeting without a cluster_uuid")
        try:
            mappings = found[index].get("mappings") or {}
            marker = layout.marker_of(mappings)
            self._narrow = marker is not None and "properties" not in mappings
            target = found[index]["settings"]["index"]["uuid"]
            return Identity(system=cluster, target=target, marker=marker)
        except (KeyError, TypeError) as error:
            raise self._client.rubbish(repr(found).encode()) from error

    def contents(self) -> Contents:
        """Counted after a refresh, by the primaries."""
        self._scanner.refresh()
        return self._scanner.contents()

    def estimate(self) -> Estimate | None:
        """By the primaries' statistics: no refresh, and no search that would keep an idle index refreshing.
        What was removed is counted at once, what is left when the index is refreshed."""
        asked = "docs.count,_all.primaries.indexing.delete_total"
        path = f"/{self._names.index}/_stats/docs,indexing?filter_path=_all.primaries.{asked}"
        try:
            found = self._client.ask("GET", path)
        except Refused:  # statistics need the privilege "monitor", which writing does not
            return None
        if found is None:
            raise self._scanner.gone()
        try:
            primaries = found["_all"]["primaries"]
            return Estimate(primaries["docs"]["count"], primaries["indexing"]["delete_total"])
        except (KeyError, TypeError) as error:
            raise self._client.rubbish(repr(found).encode()) from error

    def create(self, marker: str) -> Identity:
        """Builds the index with its aliases in one call; the public alias only if nothing has it yet."""
        names = self._names
        there = standing(self._client, names)
        if problem := there.problem(names, self._client.flavour, creating=True):
            raise Refused(problem.problem, problem.mend)
        if layout.loses_source(self._mappings, self._settings):
            raise Refused(*layout.SOURCE_NEEDED)
        request = layout.body(names, marker, self._mappings, self._settings, searched=self._first(there))
        answer = create_index(self._client, names.index, request)
        identity = self.identity()
        if answer is None or identity is None:
            raise Unreachable(f"the index {names.index} was created and is not there", "Run it again.")
        return identity

    def _first(self, there: Standing) -> bool:
        """Whether readers are to see it at once: nothing else is searched, and it is no rehearsal's."""
        return not there.searched and self._names.generation > 0

    def _widen(self) -> None:
        """Gives an index that an earlier version made the fields that it did not know; else it takes no more
        documents."""
        fields = {wire.META: {"properties": layout.META_MAPPING["properties"]}}
        self._client.ask("PUT", f"/{self._names.index}/_mapping", {"properties": fields})
        self._narrow = False

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """One bulk request after another; a broken one leaves its own items unknown and no others."""
        if self._narrow:
            self._widen()
        sending = Sending(self._client, self._names, self._pace, changes)
        outcomes, answered = sending.outcomes, False
        lost: SystemError_ | None = None
        self._pace.begin()
        for request in bulk.requests(changes, outcomes, self._pace.size):
            if lost is None:
                try:
                    sending.send(request)
                    answered = True
                except NotSent as error:
                    if not answered and all(outcomes[one.place] is None for one in request):
                        raise
                    lost = error
                self._scanner.stale = True
            for one in request:
                if outcomes[one.place] is None:
                    outcomes[one.place] = Outcome(Status.UNKNOWN, f"not sent: {lost}")
        return [outcome or _NO_ANSWER for outcome in outcomes]

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        """Reads by id, which sees every write at once, refreshed or not."""
        wanted = {bulk.id_of(key): key for key in keys}
        ids = [found for found in wanted if found and wire.sendable(found)]
        held: dict[Key, Held] = {}
        for start in range(0, len(ids), _READ_AT_ONCE):
            some = ids[start : start + _READ_AT_ONCE]
            for found, source in self._scanner.documents(some):
                record, meta = wire.split(found, source)
                held[wanted[found]] = Held(wanted[found], record, meta)
        return held

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        return self._scanner.page(after, limit)

    def sums(self, mapping: str, cuts: Sequence[Key], within: Span = EVERYTHING) -> Tallies:
        return self._summing.sums(mapping, cuts, within)

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        return self._summing.marks(mapping, span)

    def edited(self, mapping: str, limit: int) -> list[Mark]:
        return []  # a document says nothing of what it held when it was written

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        return self._summing.strangers(mappings, limit)

    def groups(self, of: str | None, by: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """All documents, counted. Groups and totals are of what was indexed, not of the documents: a number
        is cut to its field's type, a long text is left out, doubles are rounded."""
        if of is not None or by:
            raise CannotSum("a search cluster groups and adds up what it indexed, not what a document holds")
        records = self.contents().records
        yield [(records, None)] if records else []

    def foreign(self) -> ForeignIndex:
        return ForeignIndex(self._client, self._names, self._mappings, self)

    def close(self) -> None:
        self._client.close()


_NO_ANSWER = Outcome(Status.UNKNOWN, "no answer was kept for this change")
