"""lockstep deploy"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import WHY, print_json, settings, verb

if TYPE_CHECKING:
    from lockstep.declaration.pipeline import Pipeline
    from lockstep.recovery.deploy import Deployed


@verb(
    name="deploy",
    example="""
    lockstep deploy
    lockstep deploy users --once
    """,
    answer="""
    {"target", "generation", "before", "kept", "records", "records_before",
     "reports": [ID], "seconds": {STEP: 1.5}, "alone", "changed": [MAPPING]}
    """,
)
@click.argument("target", required=False, shell_complete=names.targets)
@click.option("--once", is_flag=True, help="End after the swap; start `lockstep run` with this code then.")
@click.option(
    "--fewer", is_flag=True, help="Do it although the new build holds far fewer records than the live one."
)
@WHY
def command(target: str | None, once: bool, fewer: bool, why: str | None) -> None:
    """Build TARGET anew with this code beside the live build, prove it, and swap: no search outage.

    The run of the old code may go on: both builds follow what changes, and the old one is kept, so that
    `lockstep rollback` is instant. After the swap this command follows the new build, and becomes the run
    once the old one has ended. If it is broken off, the same command goes on from there.
    """
    from lockstep.recovery.deploy import deploy
    from lockstep.recovery.following import follow

    pipeline = settings().load()
    with stop_on_signals(say=False) as stop:
        with progress_of("deploy", lines=not settings().json) as advance:
            done = deploy(
                pipeline, target, fewer=fewer, why=why, following=not once, on_progress=advance, stop=stop
            )
        if settings().json:
            print_json(done, one_line=not once)
        else:
            _print(done, once=once)
        if not once and follow(pipeline, done.target, stop):
            _run(pipeline, stop)


def _print(done: Deployed, *, once: bool) -> None:
    out = output.console()
    out.print(f"{done.target}: generation {done.generation} is live and in agreement.", style="bold")
    before = (
        "" if done.records_before is None else f"; generation {done.before} holds {done.records_before:,}"
    )
    out.print(f"  records   {done.records:,}{before}")
    if done.changed:
        out.print(f"  changed   {', '.join(done.changed)}")
    out.print(
        "  took      " + ", ".join(f"{step} {output.span(took)}" for step, took in done.seconds.items())
    )
    out.print(f"  proof     {', '.join(f'report {number}' for number in done.reports)}")
    if done.kept is not None:
        how = (
            "after it has caught up with its own code, as nobody followed it"
            if done.alone
            else "at once, as long as the process that has its code goes on"
        )
        out.print(f"  back      `lockstep rollback` ({how}); `lockstep retire` gives its space back")
    out.print(
        _next(done) if once else "Following it. Ctrl-C stops; then start `lockstep run` with this code."
    )


def _next(done: Deployed) -> str:
    """What a person does after the swap."""
    if done.alone:
        return "Now start `lockstep run` with this code: nobody follows the new build until then."
    if not done.changed:
        return "The run that goes on has the same code, and follows it."
    return (
        "The run that goes on has the code before. End it, then start `lockstep run` with this code: "
        "nobody follows the new build until then."
    )


def _run(pipeline: Pipeline, stop: threading.Event) -> None:
    """Nobody else runs any more: this is the run."""
    from lockstep.cli.progress import shown
    from lockstep.operations.run import run

    err = output.console(stderr=True)
    with shown(err, stop, json=settings().json) as progress:
        run(pipeline, stop=stop, on_progress=progress)
