"""lockstep rollback"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import WHY, print_json, settings, verb


@verb(
    name="rollback",
    example="""
    lockstep rollback
    lockstep rollback users --as-it-stands
    """,
    answer="""
    {"target", "generation", "before", "how", "behind", "seconds"}
    how: at once, caught up, as it stands.
    """,
)
@click.argument("target", required=False, shell_complete=names.targets)
@click.option("--as-it-stands", is_flag=True, help="Swap at once, however far the kept build is behind.")
@WHY
def command(target: str | None, as_it_stands: bool, why: str | None) -> None:
    """Make the build that the last deploy replaced the live one again.

    At once, if the process that has its code still runs. Otherwise run this with its code: the build then
    catches up first. What was live is kept, so that the same command goes back to it.
    """
    from lockstep.recovery.rollback import rollback

    pipeline = settings().load()
    with stop_on_signals(say=False) as stop, progress_of("rollback", lines=not settings().json) as advance:
        done = rollback(pipeline, target, as_it_stands=as_it_stands, why=why, on_progress=advance, stop=stop)
    if settings().json:
        print_json(done)
        return
    how = {
        "at once": "it was followed all the time",
        "caught up": "it has caught up with what changed since",
        "as it stands": f"as it stands: {output.count(done.behind, 'hint')} wait for it",
    }[done.how]
    out = output.console()
    out.print(
        f"{done.target}: generation {done.generation} is live again, in place of {done.before}.", style="bold"
    )
    out.print(f"  {how}; in {output.span(done.seconds)}")
    out.print("  It is followed by `lockstep run` with its own code: start that, if it is not running.")
