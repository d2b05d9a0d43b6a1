"""lockstep run"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, output, standing
from lockstep.cli.duration import Duration
from lockstep.cli.progress import shown
from lockstep.cli.share import Share
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from lockstep.operations.run import RunResult


@verb(
    name="run",
    example="""
    lockstep run
    lockstep run --once
    lockstep run --verify-every 10m --on-drift repair
    """,
    answer="""
    One object a line, every few seconds and at the end:
    {"event": "progress", "at", "sources", "mappings"}
    {"event": "end", "outcome", "mappings", "stopped": {MAPPING: REASON}}
    outcome: done, stopped, failed. The rest is as in `lockstep status --json`.
    """,
)
@click.option(
    "--once",
    is_flag=True,
    help="End when everything the sources hold now is in the targets. Do not wait for a person, nor long for "
    "a system.",
)
@click.option(
    "--verify-every",
    metavar="TIME",
    type=Duration(),
    help="Check all mappings this often: 10m.  [default: as the pipeline says]",
)
@click.option(
    "--verify-share",
    metavar="SHARE",
    type=Share(),
    help="The share of the time that checks of one source may take: 1%.  [default: 5%]",
)
@click.option(
    "--on-drift",
    type=click.Choice(["report", "repair"]),
    help="Whether to report what these checks find, or also repair it.  [default: as the pipeline says]",
)
def command(once: bool, verify_every: float | None, verify_share: float | None, on_drift: str | None) -> None:
    """Keep the targets in agreement with their sources, until it is stopped.

    Fills each target first, then follows changes. Ctrl-C or SIGTERM finishes the open batches, commits and
    exits with 0; a second Ctrl-C kills, which loses nothing either: the next run goes on from there. It ends
    by itself once all mappings have stopped. Exits with 1 if one did; with --once also if one is held, or has
    lost its target.
    """
    from lockstep.operations.continuous import SHARE
    from lockstep.operations.run import run

    if once and (verify_every is not None or verify_share is not None):
        raise click.UsageError("--once ends by itself: run `lockstep verify` after it.")
    pipeline = settings().load()
    as_json = settings().json
    err = output.console(stderr=True)
    with stop_on_signals(say=not err.is_terminal) as stop, shown(err, stop, json=as_json) as progress:
        result = run(
            pipeline,
            once=once,
            stop=stop,
            on_progress=progress,
            verify_every=verify_every,
            on_drift=on_drift,
            verify_share=SHARE if verify_share is None else verify_share,
        )
    if as_json:
        said = {name: getattr(result, name) for name in result.__struct_fields__}
        print_json({"event": "end", **said}, one_line=True)
    else:
        _print_end(result)
    if result.stopped or result.outcome == "failed":
        click.get_current_context().exit(exits.NO)


def _print_end(result: RunResult) -> None:
    out = output.console()
    output.show(standing.mappings(result.mappings, running=False, wide=out.width > 120))
    out.print()
    if result.stopped or result.outcome == "failed":
        names = ", ".join(result.stopped) or "the run"
        out.print(f"Stopped by what is said above: {names}.", style="bold red")
    elif result.outcome == "done":
        out.print("Done: everything the sources held at the start is in the targets, or its key is stuck.")
    else:
        out.print("Stopped. What was begun is committed; the next run goes on from there.")
