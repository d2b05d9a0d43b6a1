"""A process that looks at pages of a deep check, beside others: `python -m lockstep.operations.looker`.

What it is asked comes by its standard input, answers go by its standard output: see `frames`. It ends with
its input, so it never outlives for long who asked, however that one ends.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
from typing import IO

import msgspec

from lockstep.agreement.looking import Comparison
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline_file import load
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import DeclarationError, LockstepError
from lockstep.operations.frames import Failed, Found, Said, Task, receive, send
from lockstep.operations.opened import closed_door, existing
from lockstep.place import place_of
from lockstep.values import Key

_GARBAGE = 200_000
"""Objects more than before, until cycles are looked for: pages of records have none, and looking at theirs
over and over took a sixth of the time."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal: who asked ends this one
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)  # what a pipeline file prints is no answer, and who asked has printed it
    with contextlib.suppress(BrokenPipeError), answers:  # broken: nobody waits for it any more
        try:
            _look(asked, answers)
        except LockstepError as error:
            send(answers, Failed(type(error).__name__, str(error), error.remedy))
        except BrokenPipeError:
            raise
        except Exception as error:
            logging.getLogger("lockstep").exception("a process that looked at pages of a deep check failed")
            defect = LockstepError.defect(error)
            send(answers, Failed("LockstepError", str(defect), defect.remedy))


def _look(asked: IO[bytes], answers: IO[bytes]) -> None:
    first = receive(asked)
    if first is None:
        return
    task = msgspec.msgpack.decode(first, type=Task)
    log = _Log()
    logging.getLogger("lockstep").addHandler(log)
    mapping = _mapping(task)
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    reader = mapping.source.reader()
    try:
        with (
            existing(place_of(task.state)) as store,
            closed_door(mapping, task.generation, store) as door,
        ):
            deriver = Deriver(mapping, reader)
            comparison = Comparison(
                mapping, door, lambda keys: store.ledger.rows(task.consumer, keys), task.cuts
            )
            while (page := receive(asked)) is not None:
                derived = deriver.derive(msgspec.msgpack.decode(page, type=list[Key]), time.time())
                send(answers, Found(comparison.look(derived, comparison.read(derived)), log.taken()))
    finally:
        reader.close()


def _mapping(task: Task) -> Mapping:
    mapping = load(task.file).named(task.mapping)
    if mapping.version != task.version:
        raise DeclarationError(
            f"mapping {task.mapping} is another one in {task.file} than when the check began",
            "Check again, with the file as it is now.",
        )
    return mapping


class _Log(logging.Handler):
    """Keeps what is logged for the next answer."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._said: list[Said] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(Said(record.name, record.levelno, record.getMessage()))

    def taken(self) -> list[Said]:
        said, self._said = self._said, []
        return said


if __name__ == "__main__":
    main()
