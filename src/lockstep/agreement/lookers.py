"""Who looks at the pages of a deep check: threads of this process, or (see `operations.processes`) others."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from lockstep.agreement.looking import Comparison, Looked
from lockstep.agreement.scope import Scope
from lockstep.agreement.suspects import Settler
from lockstep.agreement.walk import Page, ahead
from lockstep.engine.deriving.derive import Deriver
from lockstep.values import Key


class Look(NamedTuple):
    """At a page: what was found, and of its suspects those that differ, or never came to rest."""

    page: Page
    found: Looked
    differing: set[Key]


class Lookers(Protocol):
    """Looks at pages. The answers come in the order of the pages, each when its suspects are settled."""

    def over(self, pages: Iterator[Page], settler: Settler) -> Generator[Look]: ...


class Threads:
    """Three pages at a time: one is derived, of one the target is read, and one is looked at. A thread for
    each system: what one thread may have of a target, the settler has in that thread too."""

    def __init__(self, scope: Scope, cuts: Sequence[Key]) -> None:
        # Not the settler's: it is for another thread, and no sums are looked at.
        self._deriver = Deriver(scope.mapping, scope.reader, summed=False)
        self._comparison = Comparison(scope.mapping, scope.door, scope.rows, cuts)

    def over(self, pages: Iterator[Page], settler: Settler) -> Generator[Look]:
        derive, comparison = self._deriver.derive, self._comparison
        with (
            ThreadPoolExecutor(1, thread_name_prefix="lockstep-derive") as source,
            ThreadPoolExecutor(1, thread_name_prefix="lockstep-target") as target,
        ):
            made = ahead(pages, lambda page: derive(page.keys, time.time()), source)
            for (page, derived), found in ahead(made, lambda one: comparison.read(one[1]), target):
                looked = comparison.look(derived, found)
                some = looked.suspects
                differing = target.submit(settler.settle_keys, some).result() if some else set()
                yield Look(page, looked, differing)
