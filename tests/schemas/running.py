"""A run that follows, in a thread, for a `with` block."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import lockstep as ls
from tests.schemas.shop import PATIENCE


class Running:
    """What a run says of its mappings."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self.failed: BaseException | None = None

    def reason(self, mapping: str) -> str:
        assert self.failed is None, self.failed
        return self._reasons.get(mapping, "")

    def progress(self, gauges: dict[str, Any], _: object) -> None:
        self._reasons = {name: own["reason"] for name, own in gauges["mappings"].items()}


@contextlib.contextmanager
def running(pipeline: ls.Pipeline) -> Iterator[Running]:
    found, stop = Running(), threading.Event()

    def run() -> None:
        try:
            ls.run(pipeline, stop=stop, on_progress=found.progress, every=0.1)
        except BaseException as error:
            found.failed = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert found.failed is None, found.failed
