"""How far long work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lockstep.cli import output

if TYPE_CHECKING:
    from lockstep.agreement.report import Progress

_LINES_EVERY = 5.0

_STAGES = {
    "sums": "summing both sides",
    "spans": "reading spans that differ",
    "again": "looking again at what differed",
    "source": "reading the source",
    "target": "reading the target",
    "carry": "copying what is left as it is",
}


@contextlib.contextmanager
def progress_of(name: str, *, lines: bool = False) -> Iterator[Callable[[Progress], None] | None]:
    """What long work is to call. `lines`: where nobody looks at a terminal, it is said every few seconds."""
    err = output.console(stderr=True)
    if err.is_terminal:
        with _bar(name) as advance:
            yield advance
    else:
        yield _Lines(name) if lines else None


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Callable[[Progress], None]]:
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(24),
        progress.TextColumn("{task.fields[said]}"),
        progress.TimeRemainingColumn(compact=True),
    )
    shown = progress.Progress(*columns, console=output.console(stderr=True), transient=True)
    with shown:
        task = shown.add_task(f"{name}: reading", total=None, said="")
        stage = ""

        def advance(now: Progress) -> None:
            nonlocal stage
            words = f"{name}: {_words(now)}"
            if now.stage != stage:  # another work: what it takes has nothing to do with the one before
                stage = now.stage
                shown.reset(task, description=words)
            said = _counted(now)
            shown.update(task, description=words, completed=now.done, total=now.total or None, said=said)

        yield advance


class _Lines:
    """Sentences for a log, every few seconds, with the time that is left where it can be told."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = 0.0
        self._stage = ""
        self._begun = (0.0, 0)

    def __call__(self, now: Progress) -> None:
        moment = time.monotonic()
        if now.stage != self._stage:
            self._stage, self._begun = now.stage, (moment, now.done)
        elif moment < self._next:
            return
        self._next = moment + _LINES_EVERY
        took, done = moment - self._begun[0], now.done - self._begun[1]
        left = ""
        if done > 0 and took > 1 and now.total > now.done:
            left = f", {output.span(took * (now.total - now.done) / done)} left"
        counted = f", {said}" if (said := _counted(now)) else ""
        output.console(stderr=True).print(
            f"{output.clock(time.time())}  {self._name}: {_words(now)}{counted}{left}"
        )


def _counted(now: Progress) -> str:
    """How far it is; nothing where that is not known, or there is nothing to count."""
    return f"{now.done:,} of {now.total:,}" if now.total else ""


def _words(now: Progress) -> str:
    head, colon, stage = now.stage.rpartition(": ")
    return f"{head}{colon}{_STAGES.get(stage, stage)}"
