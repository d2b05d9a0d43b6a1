"""What a run shows while it works: drawn on a terminal, in lines elsewhere, or as JSON."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lockstep.cli import output, standing
from lockstep.cli.verb import print_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lockstep.operations.standing import MappingStatus

Progress = Callable[[dict[str, Any], "tuple[MappingStatus, ...]"], None]
"""Called with the gauges of a run and the status of its mappings."""

_LINES_EVERY = 5.0


@contextlib.contextmanager
def shown(out: Console, stop: threading.Event, *, json: bool) -> Iterator[Progress]:
    """What a run is to call with its progress. Its log goes to the same console."""
    from lockstep.cli.logs import to_console

    with to_console(out):
        if json:
            yield _until_nobody_reads(_Json(), stop)
        elif not out.is_terminal:
            yield _until_nobody_reads(_Lines(out), stop)
        else:
            from rich.live import Live

            drawn = _Drawn(stop)
            with Live(drawn, console=out, refresh_per_second=4, transient=True, redirect_stdout=False):
                yield drawn


def _until_nobody_reads(progress: Progress, stop: threading.Event) -> Progress:
    """Stops the run when its output is read no more: `lockstep run --json | head`."""

    def call(gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
        try:
            progress(gauges, mappings)
        except BrokenPipeError:
            stop.set()

    return call


class _Json:
    """One object a line, every few seconds."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINES_EVERY
        from lockstep.cli.plain import moment

        now = {"event": "progress", "at": moment(time.time())}
        sources = standing.with_times(gauges["sources"])
        print_json({**now, "sources": sources, "mappings": _live(gauges, mappings)}, one_line=True)


class _Lines:
    """Sentences for a log, every few seconds, and only what is news."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._next = 0.0
        self._said: dict[str, str] = {}

    def __call__(self, gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINES_EVERY
        for one in _live(gauges, mappings):
            said = standing.sentence(one)
            if self._said.get(one.name) != said:
                self._said[one.name] = said
                self._out.print(f"{output.clock(time.time())}  {output.redacted(said)}")


class _Drawn:
    """A table that is drawn again and again, also while the run stops and says nothing any more."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._gauges: dict[str, Any] = {"sources": {}, "mappings": {}}
        self._mappings: tuple[MappingStatus, ...] = ()

    def __call__(self, gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
        self._gauges, self._mappings = gauges, mappings

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = []
        if self._mappings:
            parts.append(standing.mappings(_live(self._gauges, self._mappings), bars=True))
        for name, own in self._gauges["sources"].items():
            if own["state"] != "following":
                parts += ["", output.indented(f"{name} ({own['state']}): {own['reason']}", 0)]
        if self._stop.is_set():
            words = "Stopping: the open batches are finished and committed. Ctrl-C again kills."
        else:
            words = "Ctrl-C finishes the open batches and stops."
        return Group(*parts, *([""] if parts else []), Text(words, style="dim"))


def _live(gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> tuple[MappingStatus, ...]:
    """The mappings' status, with what their threads show of themselves right now."""
    import msgspec

    found = []
    for one in mappings:
        own = gauges["mappings"].get(one.name, {})
        state = one.state if one.state == "stopped" else own.get("state", one.state)
        reason = one.reason or own.get("reason", "")
        found.append(msgspec.structs.replace(one, gauges=own, state=state, reason=reason))
    return tuple(found)
