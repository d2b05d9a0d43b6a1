"""lockstep run"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from lockstep.cli import exits, output, standing
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lockstep.operations.run import RunResult
    from lockstep.operations.status import MappingStatus

_LINES_EVERY = 5.0


@verb(
    name="run",
    example="""
    lockstep run
    lockstep run --once
    """,
    answer="""
    One object a line, every few seconds and at the end:
    {"event": "progress", "at", "sources", "mappings"}
    {"event": "end", "outcome", "mappings", "stopped": {MAPPING: REASON}}
    outcome: done, stopped, failed. The rest is as in `lockstep status --json`.
    """,
)
@click.option(
    "--once", is_flag=True, help="Return when all that the sources hold now, and every known hint, is done."
)
def command(once: bool) -> None:
    """Keep the targets in agreement with their sources, until it is stopped.

    Fills each target first, then follows changes. Ctrl-C or SIGTERM finishes the open batches, commits and
    exits with 0; a second Ctrl-C kills, which loses nothing either: the next run goes on from there. Exits
    with 1 when a mapping stopped.
    """
    from lockstep.operations.run import run

    pipeline = settings().load()
    out = output.console(stderr=True)
    with stop_on_signals() as stop, _shown(out, once) as show:
        result = run(pipeline, once=once, stop=stop, on_progress=show, every=0.5)
    if settings().json:
        print_json({"event": "end", **_fields(result)}, one_line=True)
    else:
        _print_end(result)
    if result.stopped:
        click.get_current_context().exit(exits.NO)


class _Json:
    """Progress as JSON, one object a line."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINES_EVERY
            from lockstep.cli.plain import moment

            now = {"event": "progress", "at": moment(time.time())}
            known = standing.with_times(gauges["sources"])
            print_json({**now, "sources": known, "mappings": live(gauges, mappings)}, one_line=True)


class _Lines:
    """Progress as sentences in a log: at the start often, then every few seconds, and only what is news."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._next = 0.0
        self._said: dict[str, str] = {}

    def __call__(self, gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINES_EVERY
        for one in live(gauges, mappings):
            said = standing.sentence(one)
            if self._said.get(one.name) != said:
                self._said[one.name] = said
                self._out.print(f"{output.clock(time.time())}  {output.redacted(said)}")


@contextlib.contextmanager
def _shown(out: Console, once: bool) -> Iterator[Any]:
    """What is called with every progress: drawn on a terminal, else in lines."""
    from lockstep.cli.logs import to_console

    with to_console(out):
        if settings().json:
            yield _Json()
        elif not out.is_terminal:
            yield _Lines(out)
        else:
            from rich.live import Live

            with Live(console=out, auto_refresh=False, transient=once, redirect_stdout=False) as drawn:

                def show(gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> None:
                    drawn.update(_drawn(gauges, mappings), refresh=True)

                yield show


def _drawn(gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [standing.mappings(live(gauges, mappings), bars=True)]
    for name, own in gauges["sources"].items():
        if own["state"] != "following":
            parts += ["", output.indented(f"{name} ({own['state']}): {own['reason']}", 0)]
    parts += ["", Text("Ctrl-C finishes the open batches and stops.", style="dim")]
    return Group(*parts)


def live(gauges: dict[str, Any], mappings: tuple[MappingStatus, ...]) -> tuple[MappingStatus, ...]:
    """The mappings' status with what their threads show of themselves right now."""
    import msgspec

    found = []
    for one in mappings:
        own = gauges["mappings"].get(one.name, {})
        state = one.state if one.state == "stopped" else own.get("state", one.state)
        reason = one.reason or own.get("reason", "")
        found.append(msgspec.structs.replace(one, gauges=own, state=state, reason=reason))
    return tuple(found)


def _fields(result: RunResult) -> dict[str, Any]:
    return {"outcome": result.outcome, "mappings": result.mappings, "stopped": result.stopped}


def _print_end(result: RunResult) -> None:
    out = output.console()
    out.print(standing.mappings(result.mappings, running=False))
    out.print()
    if result.stopped:
        for name, reason in result.stopped.items():
            out.print(output.indented(f"{name} stopped: {reason}", 0), style="bold red")
    elif result.outcome == "done":
        out.print("Done: everything that the sources held at the start is in the targets, or stuck.")
    else:
        out.print("Stopped. What was begun is committed; the next run goes on from there.")
