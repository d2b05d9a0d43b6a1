"""The index that others have put under the public name, as it is before and while Lockstep takes it over.

That index is only read. Generation 1 is made in its likeness: what is equal is sent there as it was read,
with metadata beside, what differs or is nobody's is copied as it is. Readers find the old one until they are
moved.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from lockstep.errors import Declined, Unreachable
from lockstep.forms.canonical import canonical
from lockstep.ports import Moving, Writer, assert_same_build, half_taken
from lockstep.systems.opensearch import bulk, documents, walk, wire
from lockstep.systems.opensearch.adopting import likeness
from lockstep.systems.opensearch.adopting.carrying import Carrier
from lockstep.systems.opensearch.adopting.indices import Origin, index_of, marked, origin_of
from lockstep.systems.opensearch.adopting.moving import Move, put_mark
from lockstep.systems.opensearch.answering import assert_whole
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.creating import create_index
from lockstep.systems.opensearch.layout import Adopted, Layout, adopted_of, marker_of
from lockstep.systems.opensearch.scan import Scanner
from lockstep.values import Change, Held, Identity, Key, Outcome, Record, Status

_GONE = Outcome(Status.REJECTED, "the index holds no such document any more")
_OTHER = Outcome(Status.REJECTED, "the document is another one by now")


class _Walk(NamedTuple):
    pages: Generator[list[dict[str, Any]]]
    left: list[Held]
    last: Key | None


class ForeignIndex:
    """A `ports.Copying`."""

    def __init__(self, client: Client, names: Layout, declared: Mapping[str, Any], writer: Writer) -> None:
        self._client, self._names = client, names
        self._declared, self._writer = declared, writer
        self._known: Origin | None = None
        self._walk: _Walk | None = None

    def records(self) -> int | None:
        origin, ours = self._origin(), self._ours()
        if ours is None and (origin is None or marked(origin) is not None):
            return None if origin is None else self._count(origin.name)
        if ours is not None and adopted_of(ours.mappings) is None:
            return self._count(self._names.index)  # ours, from the first
        if origin is None and ours is not None and half_taken(marker_of(ours.mappings)) is not None:
            raise self._half(ours)
        if origin is None:
            return None
        if trouble := likeness.problem(self._client, origin, self._declared):
            raise Declined(*trouble)
        return self._count(origin.name)

    def marker(self) -> str | None:
        if (ours := self._ours()) is not None:
            return marker_of(ours.mappings)
        origin = self._origin()
        return None if origin is None else marked(origin)

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        wanted = {bulk.id_of(key): key for key in keys}
        ids = [found for found in wanted if found and wire.sendable(found)]
        index = self._at()
        found = [
            Held(wanted[one], *wire.split(one, source))
            for at in range(0, len(ids), walk.PAGE)
            for one, source in Scanner(self._client, index).documents(ids[at : at + walk.PAGE])
        ]
        return {held.key: held for held in self._owned(found)}

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        if after is None:
            if self._walk is not None:
                self._walk.pages.close()  # broken off before; the cluster keeps nothing open for it
            index = self._at()
            self._client.ask("POST", f"/{index}/_refresh")
            pages = walk.pages(self._client, index, {"query": {"match_all": {}}}, self._client.flavour.copies)
            self._walk = _Walk(pages, [], None)
        if self._walk is None or self._walk.last != after:
            raise Unreachable("the reading of the index was broken off", "Ask again.")
        pages, left, _ = self._walk
        while len(left) < limit and (hits := next(pages, None)):
            left += self._owned([documents.held(hit) for hit in hits])
        page = left[:limit]
        self._walk = _Walk(pages, left[limit:], page[-1].key if page else None)
        return page

    def compared(self, change: Change, held: Held) -> tuple[Record, Record]:
        assert change.record is not None
        bulk.item(0, change)  # raises DataError for what no document can be
        return change.record, held.record

    def leave(self, marker: str) -> Identity:
        origin, ours = self._origin(), self._ours()
        if origin is None or marked(origin) is not None:
            raise Declined(
                f"{self._names.alias} is Lockstep's already, and no index of others is there to take over",
                "`lockstep run` writes what a mapping means.",
            )
        likeness.require_free(self._names, ours)
        if ours is None:
            self._make(origin, marker)
        else:
            note, there = adopted_of(ours.mappings), str(marker_of(ours.mappings))
            assert_same_build(ours.name, there, marker)
            if note is None or note.uuid != origin.uuid:
                raise Declined(
                    f"{self._names.index} was made of another index than {origin.name} that stands there now",
                    f"Remove it and begin anew, with a state of its own: DELETE /{self._names.index}",
                )
            put_mark(self._client, ours, marker, note)
        made = self._writer.identity()
        if made is None:
            raise Unreachable(f"the index {self._names.index} was created and is not there", "Ask again.")
        return made

    def own(self, changes: Sequence[Change]) -> list[Outcome]:
        held = self.read([change.key for change in changes])
        outcomes: dict[Key, Outcome] = {}
        equal: list[Change] = []
        for change in changes:
            there = held.get(change.key)
            assert change.record is not None
            if there is None:
                continue
            if canonical(there.record) != canonical(change.record):
                outcomes[change.key] = _OTHER
                continue
            equal.append(Change(change.key, there.record, change.meta))
        for change, outcome in zip(equal, self._writer.write(equal), strict=True):
            outcomes[change.key] = outcome
        return [outcomes.get(change.key, _GONE) for change in changes]

    def carry_over(self, note: Callable[[int], None], stopped: Callable[[], bool]) -> bool:
        origin, ours = self._origin(), self._ours()
        if origin is None or ours is None:
            raise Unreachable(
                f"somebody has removed {self._names.index}, or what it is made of", "Ask again."
            )
        carrier = Carrier(self._client, origin, self._names)
        marker, known = str(marker_of(ours.mappings)), adopted_of(ours.mappings)
        if known is not None and known.copied:  # for another mapping: what Lockstep removed since stays so
            return carrier.since(known.marks or (), note, stopped)
        begun = Adopted(origin.name, origin.uuid, tuple(carrier.marks()))
        put_mark(self._client, ours, marker, begun)
        if not carrier.all(note, stopped):
            return False
        put_mark(self._client, ours, marker, begun._replace(copied=True))
        return True

    def readers(self) -> str | None:
        ours = index_of(self._client, self._names.index)
        note = None if ours is None else adopted_of(ours.mappings)
        if note is None:
            return None
        origin = self._origin()
        moved = origin is not None and marked(origin) is not None  # to another build: the note was left
        return None if moved else note.name

    def close(self) -> None:
        if self._walk is not None:
            self._walk.pages.close()

    def move(self) -> Moving:
        return Move(self._client, self._names)

    def _make(self, origin: Origin, marker: str) -> None:
        mark = {"marker": marker, "adopted": Adopted(origin.name, origin.uuid)._asdict()}
        request = likeness.body(self._names, origin, mark, self._declared)
        create_index(self._client, self._names.index, request)

    def _half(self, ours: Origin) -> Declined:
        note = adopted_of(ours.mappings)
        return Declined(
            f"{note.name if note else self._names.alias} is gone, and {ours.name} is only half made of it",
            f"Bring it back under its name and ask again, which goes on. Or DELETE /{ours.name}, and "
            f"`lockstep deploy {self._names.alias}` builds all of it from the source.",
        )

    def _origin(self) -> Origin | None:
        self._known = origin_of(self._client, self._names)
        return self._known

    def _ours(self) -> Origin | None:
        ours = index_of(self._client, self._names.index)
        likeness.require_free(self._names, ours)
        return ours

    def _at(self) -> str:
        """The index that is read."""
        origin = self._known or self._origin()
        return self._names.index if origin is None else origin.name

    def _owned(self, found: list[Held]) -> list[Held]:
        """The same, each with what its copy in our index says of it."""
        index = index_of(self._client, self._names.index) if self._known else None
        if index is None or not found or adopted_of(index.mappings) is None:
            return found
        path = f"/{index.name}/_mget?{self._client.flavour.copies}&_source_includes={wire.META}"
        answer = self._client.ask("POST", path, {"ids": [bulk.id_of(held.key) for held in found]}) or {}
        metas = {
            one["_id"]: wire.split(one["_id"], one.get("_source", {}))[1]
            for one in answer.get("docs", [])
            if one.get("found")
        }
        return [Held(held.key, held.record, metas.get(bulk.id_of(held.key))) for held in found]

    def _count(self, index: str) -> int:
        answer = self._client.ask("GET", f"/{index}/_count")
        if answer is None:
            return 0
        assert_whole(self._client, answer)
        return int(answer["count"])
