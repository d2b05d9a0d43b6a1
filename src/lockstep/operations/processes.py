"""Processes that look at the pages of a deep check: one interpreter derives and compares on one core only."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import msgspec

from lockstep.agreement.lookers import Look, Lookers, Threads
from lockstep.agreement.looking import Looked
from lockstep.agreement.scope import Scope
from lockstep.agreement.suspects import Settler
from lockstep.agreement.walk import Page
from lockstep.declaration.modules import module_path
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import Cancelled, LockstepError
from lockstep.operations.frames import Failed, Found, Ready, Task, leads, receive, send
from lockstep.operations.opened import state_of
from lockstep.state.generations import Consumer
from lockstep.values import Key

log = logging.getLogger("lockstep")

T = TypeVar("T")
A = TypeVar("A", Ready, Found)

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
    alone = pipeline.file is None or not sys.executable or hasattr(sys, "frozen")  # that is no Python
    if count == 1 or alone or scope.door.portion is not None:
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


def _worth(scope: Scope) -> int:
    """As many as there are cores; one where there is not much to look at."""
    many = scope.reader.estimate(scope.mapping.root.table) >= MANY
    return min(cores(), MOST) if many else 1


def cores() -> int:
    """That this process may use: where it is confined, the machine has more."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
        self._started: list[_Process] = []

    def begin(self) -> None:
        """Starts them, until all are ready. Raises what the first of them fails with, or Cancelled; then none
        is left."""
        threads = ThreadPoolExecutor(self._count, thread_name_prefix="lockstep-begin")
        try:
            for _ in range(self._count):
                self._started.append(_Process(self._task))
            for one in [threads.submit(one.begin) for one in self._started]:
                self._awaited(one)
        except BaseException:
            self._end()
            raise
        finally:
            threads.shutdown()

    def over(self, pages: Iterator[Page], settler: Settler) -> Generator[Look]:
        if not self._started:
            self.begin()
        free: SimpleQueue[_Process] = SimpleQueue()
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

    def _awaited(self, answer: Future[T]) -> T:
        while not wait([answer], timeout=_PATIENCE).done:
            self._goes_on()
        if answer.exception() is not None:
            self._goes_on()  # who stops all that a service has stops those that look as well
        return answer.result()

    def _settled(self, page: Page, looking: Future[Looked], settler: Settler) -> Look:
        found = self._awaited(looking)
        suspects = {key: set[Key]() for key in found.suspects}
        return Look(page, found, settler.settle(suspects) if suspects else set())


_BEGIN = """'lockstep.operations.looker'
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.path[:] = sys.argv[1:]
from lockstep.operations.looker import main
main()
"""
"""Who asked ends it, and nobody else: what stops a whole service, or a terminal, stops who asked."""


def _command() -> list[str]:
    """This interpreter, as it was started itself, which finds modules where this one does."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-c", _BEGIN, *module_path()]


class _Process:
    def __init__(self, task: Task) -> None:
        self._name = task.mapping
        self._task = task
        self._begun = False
        try:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a terminal's signals are for who asked, and so are its questions
            )
        except OSError as error:
            raise LockstepError(
                f"no process can be started to look at pages of {self._name}: {error}", self._alone()
            ) from error

    def begin(self) -> None:
        """Returns once it is ready. Raises what it failed with."""
        self._ask(self._task)
        self._answer(Ready)
        self._begun = True

    def look(self, keys: list[Key]) -> Looked:
        """What it found of a page. Raises what it failed with."""
        self._ask(keys)
        return self._answer(Found).looked

    def _answer(self, kind: type[A]) -> A:
        assert self._process.stdout is not None
        body = receive(self._process.stdout)
        if body is None:
            raise self._gone()
        answer = msgspec.msgpack.decode(body, type=Ready | Found | Failed)
        for line in answer.said:
            logging.getLogger(line.logger).log(line.level, "%s", line.text)
        if isinstance(answer, Failed):
            raise self._failed(answer.error())
        assert isinstance(answer, kind)
        return answer

    def end(self) -> None:
        """At once, and with whatever it began: it holds nothing that could be lost."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # half a frame was waiting for it
                pipe.close()

    def _ask(self, message: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended; why, is among its answers
            send(self._process.stdin, message)

    def _failed(self, error: LockstepError) -> LockstepError:
        """Before it was ready it may have been too many, or a file that is imported only once."""
        if not self._begun:
            error.remedy = f"{error.remedy} {self._alone()}".strip()
        return error

    def _gone(self) -> LockstepError:
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return LockstepError(
            f"a process that looked at pages of {self._name} ended before its time ({how})",
            f"Memory may have been short. {self._alone()}",
        )

    def _alone(self) -> str:
        return f"One process looks alone by `lockstep verify {self._name} --deep --jobs 1`."
