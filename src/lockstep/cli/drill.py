"""lockstep drill"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.duration import Duration
from lockstep.cli.repeating import repeated
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from lockstep.declaration.pipeline import Pipeline


@verb(
    name="drill",
    example="""
    lockstep drill
    lockstep drill users --snapshot 17
    lockstep drill users --every 7d
    """,
    answer="""
    {"target", "snapshot", "records", "redriven", "derived", "age",
     "seconds": {STEP: 1.5}}
    age: of the saved state, in seconds; seconds.whole: the time to recover.
    With --every, one object a line.
    """,
)
@click.argument("target", required=False, shell_complete=names.targets)
@click.option("--snapshot", metavar="ID", help="Which saved state.  [default: the newest that is whole]")
@click.option(
    "--every",
    metavar="TIME",
    type=Duration(),
    help="Do it this often until it is stopped: 7d.",
)
def command(target: str | None, snapshot: str | None, every: float | None) -> None:
    """Rehearse: bring a saved state of TARGET back beside everything, prove it, measure, remove it.

    Nobody searches it, and nothing is left of it. `lockstep status` shows the last rehearsal.
    """
    pipeline = settings().load()
    with stop_on_signals(say=False) as stop:
        repeated(lambda: _one(pipeline, target, snapshot, stop, one_line=every is not None), every, stop)


def _one(
    pipeline: Pipeline, target: str | None, snapshot: str | None, stop: threading.Event, *, one_line: bool
) -> None:
    from lockstep.recovery.drill import drill

    with progress_of("drill", lines=not settings().json) as advance:
        done = drill(pipeline, target, snapshot=snapshot, on_progress=advance, stop=stop)
    if settings().json:
        print_json(done, one_line=one_line)
        return
    out = output.console()
    out.print(f"Saved state {done.snapshot} of {done.target} comes back and agrees.", style="bold")
    restored = output.count(done.records, "record")
    out.print(f"  recovered  in {output.span(done.seconds['whole'])}")
    out.print(f"  restored   {restored}")
    out.print(f"  redriven   {output.redriven(done.redriven, done.derived)}")
    out.print(f"  saved      {output.span(done.age)} ago; all since is in the source")
