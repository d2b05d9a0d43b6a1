"""Over all keys of a mapping's root, page by page; what is made of each page is made ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import NamedTuple, TypeVar

from lockstep.declaration.mapping import Mapping
from lockstep.guard.door import Door
from lockstep.ports import Reader
from lockstep.values import EVERYTHING, Held, Key, Span

PAGE = 1_000

T = TypeVar("T")
U = TypeVar("U")


class Page(NamedTuple):
    """Some keys, and where a walk goes on after them: None at its end."""

    keys: list[Key]
    rest: Span | None


def pages(reader: Reader, mapping: Mapping, size: int, span: Span | None = EVERYTHING) -> Iterator[Page]:
    """The keys of a span; of none where the walk was at its end."""
    while span is not None:
        with reader.snapshot() as snapshot:
            found = snapshot.keys(mapping.root.table, span, size)
        span = found.rest
        if found.keys:
            yield Page(found.keys, span)


def source_keys(reader: Reader, mapping: Mapping, size: int) -> Iterator[list[Key]]:
    """Every key of a mapping's root, in pages."""
    for page in pages(reader, mapping, size):
        yield page.keys


def target_records(door: Door, size: int) -> Iterator[list[Held]]:
    """Every record of a target, in pages; the last one may be empty."""
    after: Key | None = None
    while True:
        page = door.scan(after, size)
        yield page
        if len(page) < size:
            return
        after = page[-1].key


def ahead(some: Iterator[T], make: Callable[[T], U], thread: Executor) -> Iterator[tuple[T, U]]:
    """Each with what is made of it: of the next one, in a thread, while this one is looked at."""
    waiting: tuple[T, Future[U]] | None = None
    for one in some:
        made = thread.submit(make, one)
        if waiting is not None:
            yield waiting[0], waiting[1].result()
        waiting = one, made
    if waiting is not None:
        yield waiting[0], waiting[1].result()
