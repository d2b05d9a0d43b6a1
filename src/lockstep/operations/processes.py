"""Processes that look at the pages of a deep check: one interpreter derives and compares on one core only."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue

import msgspec

from lockstep.agreement.lookers import Look, Lookers, Threads
from lockstep.agreement.looking import Looked
from lockstep.agreement.scope import Scope
from lockstep.agreement.suspects import Settler
from lockstep.agreement.walk import Page
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import LockstepError
from lockstep.operations.frames import Failed, Found, Task, receive, send
from lockstep.operations.opened import state_of
from lockstep.state.generations import Consumer
from lockstep.values import Key

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
    """Who is to look: so many processes. Threads of this one where one is enough, where no other could
    load the pipeline, and where the target is behind an API that counts its calls: it writes in portions.
    `goes_on`: raises Cancelled once the check is to stop."""
    count = _worth(scope) if jobs is None else jobs
    if count == 1 or pipeline.file is None or scope.door.portion is not None:
        return Threads(scope, cuts)
    state = state_of(pipeline)
    task = Task(
        str(pipeline.file),
        str(state.resolve()) if isinstance(state, Path) else state.given,
        consumer.mapping,
        scope.mapping.version,
        consumer.id,
        consumer.number,
        cuts,
    )
    return Processes(task, count, goes_on)


def _worth(scope: Scope) -> int:
    """As many as there are cores; one where there is not much to look at."""
    many = scope.reader.estimate(scope.mapping.root.table) >= MANY
    return min(os.cpu_count() or 1, MOST) if many else 1


_PATIENCE = 0.2
"""Seconds after which a check that waits for a page asks whether it is to go on."""


class Processes:
    """So many, for one pass over the pages. What they find suspect is settled here."""

    def __init__(self, task: Task, count: int, goes_on: Callable[[], None]) -> None:
        self._task = task
        self._count = count
        self._goes_on = goes_on

    def over(self, pages: Iterator[Page], settler: Settler) -> Generator[Look]:
        started = [_Process(self._task) for _ in range(self._count)]
        free: SimpleQueue[_Process] = SimpleQueue()
        for one in started:
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
            for one in started:
                one.end()
            threads.shutdown()

    def _settled(self, page: Page, looking: Future[Looked], settler: Settler) -> Look:
        while not wait([looking], timeout=_PATIENCE).done:
            self._goes_on()
        found = looking.result()
        suspects = {key: set[Key]() for key in found.suspects}
        return Look(page, found, settler.settle(suspects) if suspects else set())


class _Process:
    def __init__(self, task: Task) -> None:
        self._name = task.mapping
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lockstep.operations.looker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ask(task)

    def look(self, keys: list[Key]) -> Looked:
        """What it found of a page. Raises what it failed with."""
        self._ask(keys)
        assert self._process.stdout is not None
        body = receive(self._process.stdout)
        if body is None:
            raise self._gone()
        answer = msgspec.msgpack.decode(body, type=Found | Failed)
        if isinstance(answer, Failed):
            raise answer.error()
        for line in answer.said:
            logging.getLogger(line.logger).log(line.level, "%s", line.text)
        return answer.looked

    def end(self) -> None:
        """At once: it holds nothing that could be lost."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # half a frame was waiting for it
                pipe.close()

    def _ask(self, message: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended; why, is among its answers
            send(self._process.stdin, message)

    def _gone(self) -> LockstepError:
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return LockstepError(
            f"a process that looked at pages of {self._name} ended before its time ({how})",
            "Where memory was short, let fewer look at once: `lockstep verify --deep --jobs 1`.",
        )
