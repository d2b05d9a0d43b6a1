"""The log of a run on the console: above whatever is drawn there, without secrets."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lockstep.cli import output

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {logging.WARNING: "yellow", logging.ERROR: "bold red"}


class _Printed(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = f"{output.clock(record.created)}  {self.format(record)}"
            self._console.print(output.redacted(said), style=_STYLES.get(record.levelno, ""))
        except Exception:  # a log line that cannot be printed must not stop the thread that wrote it
            self.handleError(record)


@contextlib.contextmanager
def to_console(console: Console) -> Iterator[None]:
    """Prints what Lockstep logs while this lasts."""
    log = logging.getLogger("lockstep")
    handler = _Printed(console)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]
