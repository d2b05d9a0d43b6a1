"""Writes one generation of an index.

A batch is one commit, and is answered after it: applied means durable. Tantivy replaces a document by
deleting its term and adding it again, and holds no versions: the engine's intents protect the order of
batches, here only the last change of a key in a batch is written. One process writes; tantivy's own lock
is dropped by the operating system when it dies. Any process reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockstep.errors import DataError, Refused, TargetReplaced, UsageError
from lockstep.forms import keys as key_bytes
from lockstep.ports import Features
from lockstep.systems.tantivy import documents, pages
from lockstep.systems.tantivy.client import Place, Standing, damaged, library, why
from lockstep.values import Change, Contents, Held, Identity, Key, Outcome, Record, Status, Version

HEAP = 100_000_000
"""Bytes of documents held before a segment is written; one commit seldom holds so much."""

_APPLIED = Outcome(Status.APPLIED)
_REPEATED = Outcome(Status.SUPERSEDED, "a later change of this key is in the same batch")
_AT_ONCE = 1000


class TantivyWriter:
    """The Writer of one generation; also what searches it."""

    features = Features(versions=False, normalises=False)

    def __init__(self, place: Place, system: str, fields: dict[str, str] | None) -> None:
        self._place, self._system, self._fields = place, system, fields
        self._standing: Standing | None = None
        self._index: Any = None
        self._writer: Any = None
        self._page: tuple[str, str] | None = None  # first and last key of the last whole page

    def identity(self) -> Identity | None:
        standing = self._place.standing()
        if standing is None:
            return None
        return Identity(self._system, f"{self._place.path.name}:{standing.id}", standing.marker)

    def contents(self) -> Contents:
        return contents_of(self._searcher())

    def create(self, marker: str) -> Identity:
        self._place.create(
            documents.schema(), marker, dict(self._fields) if self._fields is not None else None
        )
        made = self.identity()
        assert made is not None
        return made

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        index_writer = self._open_writer()
        outcomes: list[Outcome] = [_APPLIED] * len(changes)
        last: dict[Key, tuple[int, Any]] = {}
        for place, change in enumerate(changes):
            try:
                made = None if change.record is None else self._document(change)
            except DataError as error:
                outcomes[place] = Outcome(Status.REJECTED, str(error))
                continue
            if change.key in last:
                outcomes[last[change.key][0]] = _REPEATED
            last[change.key] = (place, made)
        if not last:
            return outcomes
        try:
            for key, (_, made) in last.items():
                index_writer.delete_documents_by_term("_key", documents.term(key))
                if made is not None:
                    index_writer.add_document(made)
            index_writer.commit()
        except Exception as error:  # tantivy raises ValueError for everything, a full disk too
            self._forget()
            unknown = Outcome(Status.UNKNOWN, f"the index at {self._place.path} did not commit: {why(error)}")
            for place, _ in last.values():
                outcomes[place] = unknown
        return outcomes

    def _document(self, change: Change) -> Any:
        try:
            return documents.document(change, self._fields)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(
                f"the index does not take the record: {error}", "Correct the value in the mapping."
            ) from error

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        searcher = self._searcher()
        query = library().Query
        schema = self._index.schema
        found: dict[Key, Held] = {}
        for start in range(0, len(keys), _AT_ONCE):
            terms = [documents.term(key) for key in keys[start : start + _AT_ONCE]]
            for held in self._held(searcher, query.term_set_query(schema, "_key", terms), len(terms)):
                found[held.key] = held
        return found

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        searcher = self._searcher()
        tantivy = library()
        start = "" if after is None else documents.term(after)
        page: list[Held] = []
        for upto in pages.bounds(start, self._page):
            if not start:
                query = tantivy.Query.all_query()
            else:  # a key as text is hexadecimal: nothing in it can be query syntax
                query = self._index.parse_query(f"_key:{{{start} TO {upto or '*'}]")
            page = self._held(searcher, query, limit, order_by_field="_key", order=tantivy.Order.Asc)
            if len(page) == limit:
                self._page = (documents.term(page[0].key), documents.term(page[-1].key))
                break
        return page

    def search(self, query: str, limit: int = 10) -> list[tuple[float, str, Record]]:
        """The best matches: score, key as text, record. `company.name:acme` asks one field."""
        searcher = self._searcher()
        try:
            parsed = self._index.parse_query(query, documents.SEARCHED)
        except ValueError as error:
            raise UsageError(
                f"the query {query!r} cannot be understood: {error}",
                'Put what has signs in it in double quotes: email:"a+b@example.org".',
            ) from error
        try:
            hits = searcher.search(parsed, limit, count=False).hits
            found = [(score, documents.held(searcher.doc(address))) for score, address in hits]
        except Exception as error:
            raise damaged(self._place.path, error) from error
        return [(score, key_bytes.text(held.key), held.record) for score, held in found]

    def close(self) -> None:
        """Lets running merges end, and gives the lock back."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.wait_merging_threads()
        self._index = self._standing = None

    def _held(self, searcher: Any, query: Any, limit: int, **order: Any) -> list[Held]:
        try:
            hits = searcher.search(query, limit, count=False, **order).hits
            return [documents.held(searcher.doc(address)) for _, address in hits]
        except Exception as error:
            raise damaged(self._place.path, error) from error

    def _searcher(self) -> Any:
        """Sees what any process has committed."""
        index = self._open()
        try:
            index.reload()
            return index.searcher()
        except Exception as error:
            raise damaged(self._place.path, error) from error

    def _open(self) -> Any:
        """The index that is in the directory now; another one than before is opened anew."""
        standing = self._place.standing()
        if standing is None:
            self._forget()
            raise TargetReplaced(
                f"there is no index at {self._place.path}",
                "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.",
            )
        if self._index is None or standing != self._standing:
            self._forget()
            self._index, self._standing = self._place.open(), standing
        return self._index

    def _open_writer(self) -> Any:
        index = self._open()
        if self._writer is None:
            try:
                self._writer = index.writer(heap_size=HEAP, num_threads=1)
            except ValueError as error:
                if "LockBusy" not in str(error):
                    raise damaged(self._place.path, error) from error
                raise Refused(
                    f"another process writes the index at {self._place.path}",
                    "Let one `run` write an index; readers need no lock.",
                ) from error
            self._place.point_first()
        return self._writer

    def _forget(self) -> None:
        """Drops what is open without committing, so that the next call starts from what is on disk."""
        self._writer = self._index = self._standing = None


def contents_of(searcher: Any) -> Contents:
    """How many documents, and the highest version among them."""
    tantivy = library()
    query = tantivy.Query.all_query()
    hits = searcher.search(query, 1, count=False, order_by_field="_version", order=tantivy.Order.Desc).hits
    return Contents(searcher.num_docs, Version(hits[0][0] if hits else 0))
