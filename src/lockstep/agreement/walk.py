"""Over all keys of a mapping's root, page by page; what is made of each page is made ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from lockstep.declaration.mapping import Mapping
from lockstep.guard.door import Door
from lockstep.ports import Reader
from lockstep.values import EVERYTHING, Held, Key, Span

PAGE = 1_000

T = TypeVar("T")


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


def ahead(some: Iterator[Page], make: Callable[[list[Key]], T]) -> Iterator[tuple[Page, T]]:
    """Each page with what is made of its keys: of the next one, in a thread, while this one is looked at."""
    with ThreadPoolExecutor(1, thread_name_prefix="lockstep-derive") as pool:
        waiting: tuple[Page, Future[T]] | None = None
        for page in some:
            made = pool.submit(make, page.keys)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = page, made
        if waiting is not None:
            yield waiting[0], waiting[1].result()
