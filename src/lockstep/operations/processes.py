"""Processes that look at the pages of a deep check: one interpreter derives and compares on one core only."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from lockstep.agreement.lookers import Look, Lookers, Threads
from lockstep.agreement.looking import Looked
from lockstep.agreement.scope import Scope
from lockstep.agreement.suspects import Settler
from lockstep.agreement.walk import Page
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import Cancelled, LockstepError
from lockstep.operations.frames import Task, leads
from lockstep.operations.opened import state_of
from lockstep.operations.process import Process
from lockstep.ports.reading import MeteredReader
from lockstep.state.generations import Consumer
from lockstep.values import Key

log = logging.getLogger("lockstep")

T = TypeVar("T")

MANY = 50_000
"""Source keys from which on more processes than one pay for their start."""

MOST = 4
"""Processes, unless more are asked for: each has connections of its own to all systems."""


def lookers(
    pipeline: Pipeline,
    consumer: Consumer,
    scope: Scope,
    cuts: tuple[Key, ...],
    jobs: int | None,
    goes_on: Callable[[], None],
) -> Lookers:
    """Who is to look: so many processes, or threads of this one. `goes_on`: raises Cancelled once the check
    is to stop."""
    count = _worth(scope) if jobs is None else jobs
    why = _why_alone(pipeline, scope)
    if why is not None and jobs is not None and count > 1:
        log.warning("one process compares alone: %s", why)
    if count == 1 or why is not None:
        return Threads(scope, cuts)
    state = state_of(pipeline)
    task = Task(
        os.fsencode(pipeline.file or ""),
        os.fsencode(state.resolve() if isinstance(state, Path) else state.given),
        consumer.mapping,
        scope.mapping.version,
        leads(scope.mapping, scope.door),
        consumer.id,
        consumer.number,
        cuts,
        logging.getLogger("lockstep").getEffectiveLevel(),
        tuple(os.fsencode(one) for one in sys.argv),
    )
    processes = Processes(task, count, goes_on)
    return processes if jobs is not None else IfTheyCan(processes, Threads(scope, cuts))


def _why_alone(pipeline: Pipeline, scope: Scope) -> str | None:
    """Why no other process can look, or should."""
    if pipeline.file is None:
        return "no other could load the pipeline, which no file declares"
    if not sys.executable or hasattr(sys, "frozen"):
        return "no other could be started by a program that holds its own Python"
    if isinstance(scope.reader, MeteredReader) or scope.door.portion is not None:
        return "a system limits what is asked of it, and two would not know of each other's"
    return None


def _worth(scope: Scope) -> int:
    """As many as there are cores; one where there is not much to look at."""
    many = scope.reader.estimate(scope.mapping.root.table) >= MANY
    return min(cores(), MOST) if many else 1


def cores() -> int:
    """That this process may use: where it is confined, the machine has more."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


READY = 60.0
"""Seconds after which those that are not ready never will be: a file may wait for what this process has."""

_PATIENCE = 0.2
"""Seconds after which a check that waits for a page asks whether it is to go on."""


class IfTheyCan:
    """Processes, which nobody asked for; where they cannot begin, threads look as well."""

    def __init__(self, processes: Processes, threads: Threads) -> None:
        self._processes = processes
        self._threads = threads

    def over(self, pages: Iterator[Page], settler: Settler) -> Generator[Look]:
        try:
            self._processes.begin()
        except Cancelled:
            raise
        except LockstepError as error:
            log.warning("one process compares alone, which takes longer: %s", error)
            yield from self._threads.over(pages, settler)
        else:
            yield from self._processes.over(pages, settler)


class Processes:
    """So many, for one pass over the pages. What they find suspect is settled here."""

    def __init__(self, task: Task, count: int, goes_on: Callable[[], None]) -> None:
        self._task = task
        self._count = count
        self._goes_on = goes_on
        self._started: list[Process] = []

    def begin(self) -> None:
        """Starts them, until all are ready. Raises what the first of them fails with, or Cancelled; then none
        is left."""
        threads = ThreadPoolExecutor(self._count, thread_name_prefix="lockstep-begin")
        try:
            for _ in range(self._count):
                self._started.append(Process(self._task))
            late = time.monotonic() + READY
            for one, ready in [(one, threads.submit(one.begin)) for one in self._started]:
                self._awaited(ready, partial(self._not_late, one, late))
        except BaseException:
            self._end()
            raise
        finally:
            threads.shutdown()

    def over(self, pages: Iterator[Page], settler: Settler) -> Generator[Look]:
        if not self._started:
            self.begin()
        free: SimpleQueue[Process] = SimpleQueue()
        for one in self._started:
            free.put(one)

        def look(keys: list[Key]) -> Looked:
            one = free.get()
            try:
                return one.look(keys)
            finally:
                free.put(one)

        threads = ThreadPoolExecutor(self._count, thread_name_prefix="lockstep-look")
        waiting: deque[tuple[Page, Future[Looked]]] = deque()
        try:
            for page in pages:
                waiting.append((page, threads.submit(look, page.keys)))
                if len(waiting) > 2 * self._count:  # the next ones are at hand when one is free
                    yield self._settled(*waiting.popleft(), settler)
            while waiting:
                yield self._settled(*waiting.popleft(), settler)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            self._end()
            threads.shutdown()

    def _end(self) -> None:
        started, self._started = self._started, []
        for one in started:
            one.end()

    def _not_late(self, one: Process, late: float) -> None:
        self._goes_on()
        if time.monotonic() > late:
            raise one.late(READY)

    def _awaited(self, answer: Future[T], goes_on: Callable[[], None]) -> T:
        while not wait([answer], timeout=_PATIENCE).done:
            goes_on()
        if answer.exception() is not None:
            self._goes_on()  # who stops all that a service has stops those that look as well
        return answer.result()

    def _settled(self, page: Page, looking: Future[Looked], settler: Settler) -> Look:
        found = self._awaited(looking, self._goes_on)
        return Look(page, found, settler.settle_keys(found.suspects))
