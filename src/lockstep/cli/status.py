"""lockstep status"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, output, standing
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lockstep.operations.status import Status


@verb(
    name="status",
    example="""
    lockstep status
    lockstep status --watch
    """,
    answer="""
    {"state", "running", "last_outcome", "seen_at",
     "sources": {NAME: {"state", "reason", "position", "last_change",
                        "retained", "retained_unit"}},
     "mappings": [{"name", "target", "generation", "state", "reason",
                   "waiting_live", "waiting_bulk", "stuck", "gauges",
                   "backfill": {"reason", "done", "total", "rate", "eta",
                                "started_at", "finished_at"}}]}
    With --watch, one object a line. rate: keys a second; eta: seconds.
    """,
)
@click.option("--watch", is_flag=True, help="Keep it on the screen until Ctrl-C.")
def command(watch: bool) -> None:
    """Show what runs, how far it is behind, and what is stuck.

    Reads the state store only, so it answers when a database does not. Exits with 1 when a mapping stopped.
    """
    from lockstep.operations.status import status

    directory = settings().directory()
    if watch:
        _watch(directory)
        return
    found = status(directory)
    if settings().json:
        _print_json(found)
    else:
        output.show(_drawn(found))
    if any(one.state == "stopped" for one in found.mappings):
        click.get_current_context().exit(exits.NO)


def _print_json(found: Status, *, one_line: bool = False) -> None:
    from lockstep.cli.plain import plain

    print_json({**plain(found), "sources": standing.with_times(found.sources)}, one_line=one_line)


def _drawn(found: Status, *, bars: bool = False) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    if found.running is not None:
        head = Text.assemble(("Running", "bold green"), f" by {found.running}{standing.seen(found.seen_at)}")
    else:
        last = {
            None: "no run has ended yet",
            "done": "the last run did all there was to do",
            "stopped": "the last run was stopped",
            "failed": "the last run failed",
            "died": "the last run died",
        }.get(found.last_outcome, f"the last run: {found.last_outcome}")
        head = Text.assemble(("Not running", "bold yellow"), f"; {last}, {output.ago(found.seen_at)}")
    if found.seen_at is None and not found.mappings:
        return Text("Nothing has run yet. Start with `lockstep run`.")
    parts: list[RenderableType] = [head]
    if found.running is not None and found.sources:
        parts += ["", standing.sources(found.sources)]
    wide = output.console().width > 120
    parts += ["", standing.mappings(found.mappings, running=found.running is not None, wide=wide, bars=bars)]
    return Group(*parts)


def _watch(directory: Path) -> None:
    """Draws it again every second. Ctrl-C is how one leaves, and no failure."""
    from rich.live import Live

    from lockstep.operations.status import status

    out = output.console()
    try:
        if settings().json or not out.is_terminal:
            while True:
                found = status(directory)
                if settings().json:
                    _print_json(found, one_line=True)
                else:
                    out.print(_drawn(found))
                    out.print()
                time.sleep(1)
        with Live(_drawn(status(directory)), console=out, auto_refresh=False, screen=False) as live:
            while True:
                time.sleep(1)
                live.update(_drawn(status(directory), bars=True), refresh=True)
    except KeyboardInterrupt:
        return
