"""A run that goes on while the story is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lockstep.declaration.pipeline import Pipeline
from lockstep.operations.run import run


@contextlib.contextmanager
def working(
    pipeline: Pipeline, watch: Callable[[dict[str, Any], object], None] | None = None
) -> Iterator[None]:
    """A run in a thread of its own, stopped at the end. Raises what ended it."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            run(pipeline, stop=stop, on_progress=watch, every=0.2)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="demo-run")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
