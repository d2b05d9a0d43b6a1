"""A process that looks at pages of a deep check, beside others: see `processes`, which begins it.

What it is asked comes by its standard input, answers go by its standard output: see `frames`. It ends with
its input, in the middle of a page too, so it never outlives who asked, however that one ends.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from lockstep.agreement.looking import Comparison
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline_file import load
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import DeclarationError, LockstepError
from lockstep.operations.frames import Failed, Found, Ready, Said, Task, leads, receive, send, sendable
from lockstep.operations.opened import closed_door, existing
from lockstep.place import place_of
from lockstep.values import EVERYTHING, Key

_GARBAGE = 200_000
"""Objects more than before, until cycles are looked for: pages of records have none, and looking at theirs
over and over took a sixth of the time."""


def main() -> None:
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)  # what a pipeline file prints is no answer, and who asked has printed it
    log = _Log()
    try:
        threading.Thread(target=_end_with, args=(asked.fileno(),), daemon=True).start()
        _look(asked, answers, log)
    except (Exception, SystemExit) as error:
        known = error if isinstance(error, LockstepError) else LockstepError.defect(error)
        if known is not error:
            log.logger.exception("a process that looked at pages of a deep check failed")
        with contextlib.suppress(OSError):  # nobody waits for it any more
            send(answers, Failed.of(known, log.taken()))
    _end()


def _end() -> None:
    """With whatever a pipeline file began: threads would keep it, and processes outlive it."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


def _end_with(asked: int) -> None:
    """Ends this process once nobody can ask it any more: a statement may wait for a lock for hours."""
    poll = select.poll()
    poll.register(asked, select.POLLHUP)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
        pass
    _end()


def _look(asked: IO[bytes], answers: IO[bytes], log: _Log) -> None:
    first = receive(asked)
    if first is None:
        return
    task = msgspec.msgpack.decode(first, type=Task)
    sys.argv = [os.fsdecode(one) for one in task.arguments]
    mapping = _mapping(task)
    log.listen(task.level)  # anew: a pipeline file may set up the log
    log.taken()  # what it logs was said by who asked
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    reader = mapping.source.reader()
    try:
        with (
            existing(place_of(os.fsdecode(task.state))) as store,
            closed_door(mapping, task.generation, store) as door,
        ):
            _same(task, leads(mapping, door))
            with reader.snapshot() as snapshot:  # else the first page would find that there is none
                snapshot.keys(mapping.root.table, EVERYTHING, 1)
            send(answers, Ready(log.taken()))
            deriver = Deriver(mapping, reader, summed=False)
            comparison = Comparison(
                mapping, door, lambda keys: store.ledger.rows(task.consumer, keys), task.cuts
            )
            while (page := receive(asked)) is not None:
                derived = deriver.derive(msgspec.msgpack.decode(page, type=list[Key]), time.time())
                send(answers, Found(comparison.look(derived, comparison.read(derived)), log.taken()))
    finally:
        reader.close()


def _mapping(task: Task) -> Mapping:
    file = Path(os.fsdecode(task.file))
    with _unheard():
        mapping = load(file).named(task.mapping)
    if mapping.version != task.version:
        raise DeclarationError(
            f"mapping {task.mapping} is another one in {file} than when the check began",
            "Check again, with the file as it is now.",
        )
    return mapping


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Warnings and the like that come while a file is imported were printed by who asked."""
    try:
        before = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


def _same(task: Task, found: str) -> None:
    """A file that asks for the day, or where it is, may mean other systems here."""
    if found != task.leads:
        raise DeclarationError(
            f"in another process mapping {task.mapping} leads elsewhere: {found}, not {task.leads}",
            "Let the pipeline file name the same systems each time it is imported.",
        )


class _Log(logging.Handler):
    """Keeps what is logged for the next answer: who asked says it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.logger = logging.getLogger("lockstep")
        self._said: list[Said] = []
        self.listen(logging.WARNING)

    def listen(self, level: int) -> None:
        self.logger.handlers = [self]
        self.logger.propagate = False
        self.logger.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._said.append(Said(record.name, record.levelno, sendable(self.format(record))))
        except Exception:  # as other handlers: a line that cannot be made must not end who wrote it
            self.handleError(record)

    def taken(self) -> list[Said]:
        said, self._said = self._said, []
        return said
