"""lockstep restore"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import WHY, print_json, settings, verb


@verb(
    name="restore",
    example="""
    lockstep restore
    lockstep restore users --snapshot 17 --why "wiped, incident 4711"
    lockstep restore users --beside
    """,
    answer="""
    {"target", "snapshot", "generation", "records", "redriven", "derived",
     "reports": [ID], "age", "seconds": {STEP: 1.5}, "live", "damaged": [ID]}
    records came back with the saved state; redriven keys were written or
    removed since, null: all are hinted; derived: keys derived in all, with
    those of changes that waited. damaged: newer saved states, passed over.
    """,
)
@click.argument("target", required=False, shell_complete=names.targets)
@click.option("--snapshot", metavar="ID", help="Which saved state.  [default: the newest that is whole]")
@click.option(
    "--beside",
    is_flag=True,
    help="Restore without touching what is searched: the build is proven and stays beside, to look at.",
)
@click.option("--replace", is_flag=True, help="Do it although the target is in good health.")
@click.option(
    "--fewer", is_flag=True, help="Do it although the result holds far fewer records than there were."
)
@click.option(
    "--despite-holds",
    is_flag=True,
    help="Do it although the guard holds changes, which the result would contain.",
)
@WHY
def command(
    target: str | None,
    snapshot: str | None,
    beside: bool,
    replace: bool,
    fewer: bool,
    despite_holds: bool,
    why: str | None,
) -> None:
    """Bring TARGET back from a saved state with everything that changed since, prove it, and make it live.

    Only the keys that changed since are derived again, however long ago that was. A run may go on meanwhile;
    it keeps following the source. If Ctrl-C or a crash breaks it off, the same command goes on from there.

    With --beside it stands under the name of its generation (the index users-g2), until `lockstep restore
    --replace` makes it live or `lockstep retire --unfinished` removes it.
    """
    from lockstep.recovery.restore import restore

    pipeline = settings().load()
    with (
        stop_on_signals(say=False) as stop,
        progress_of("restore", lines=not settings().json) as advance,
    ):
        done = restore(
            pipeline,
            target,
            snapshot=snapshot,
            beside=beside,
            replace=replace,
            fewer=fewer,
            despite_holds=despite_holds,
            why=why,
            on_progress=advance,
            stop=stop,
        )
    if settings().json:
        print_json(done)
        return
    out = output.console()
    where = "is live" if done.live else "stands beside the live one"
    out.print(f"{done.target} is back and in agreement: generation {done.generation} {where}.", style="bold")
    if not done.live:
        out.print("  next      `restore --replace` makes it live; `lockstep retire --unfinished` removes it")
    for number in done.damaged:
        out.print(f"  damaged   saved state {number} was passed over: `lockstep snapshots --all` says why")
    out.print(f"  saved     {output.count(done.records, 'record')}, from {output.span(done.age)} ago")
    out.print(f"  redriven  {output.redriven(done.redriven, done.derived)}")
    steps = ", ".join(f"{step} {output.span(took)}" for step, took in done.seconds.items() if step != "whole")
    out.print(f"  took      {output.span(done.seconds['whole'])}: {steps}")
    out.print(f"  proof     {', '.join(f'report {number}' for number in done.reports)}")
