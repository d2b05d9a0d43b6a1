"""lockstep move-readers"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.beginning import agreed, answered
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import settings, verb

if TYPE_CHECKING:
    from lockstep.operations.move_readers import Moved


@verb(
    name="move-readers",
    example="""
    lockstep move-readers users --dry-run
    lockstep move-readers users
    """,
    answer="""
    {"mapping", "target", "outcome", "before", "kept", "aliases": [],
     "left_behind": [], "carried", "removed", "seconds", "returned"}
    outcome: planned (--dry-run), moved, already, interrupted (all is as it
    was). before: what readers found; kept: its name from now on. aliases:
    other names that moved with it; left_behind: those that lead to it still.
    returned: records that stand again where Lockstep had removed them, as
    their source went; null: the target did not answer that.
    """,
)
@click.argument("mapping", shell_complete=names.mappings)
@click.option("--dry-run", is_flag=True, help="Say what would be moved. Change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask whether to begin.")
def command(mapping: str, dry_run: bool, yes: bool) -> None:
    """Point readers of an index that `lockstep adopt` took over to the one that Lockstep keeps.

    Blocks the old index for writing, copies what others wrote to it since, then moves readers in one step.
    The old index stays, under another name if it had the public one itself. No run may go on meanwhile; first
    stop those who still write to the old index. If it is broken off, ask again.
    """
    from lockstep.operations.move_readers import move_readers

    pipeline = settings().load()
    if not dry_run and not yes:
        target = pipeline.named(mapping).target.name
        agreed(f"Move the readers of {target}, and stop writes to what they find now?")
    with stop_on_signals(say=not settings().json) as stop, progress_of(mapping) as advance:
        done = move_readers(pipeline, mapping, dry_run=dry_run, stop=stop, on_progress=advance)
    answered(done, _print)


def _print(done: Moved) -> None:
    out = output.console()
    if done.outcome == "already":
        out.print(f"Readers of {done.target} find what Lockstep keeps, already.")
        return
    if done.outcome == "interrupted":
        out.print(
            f"Broken off: readers find {done.before} as before. "
            f"Ask again (`lockstep move-readers {done.mapping}`)."
        )
        return
    planned = done.outcome == "planned"
    out.print(
        f"Readers of {done.target} {'would be' if planned else 'were'} moved from {done.before}, which "
        f"{'would stay' if planned else 'stays'} as {done.kept}, and takes no writes."
    )
    if done.aliases:
        out.print(f"  moved with it: {', '.join(done.aliases)}")
    if done.left_behind:
        out.print(f"  still leading to {done.kept}: {', '.join(done.left_behind)}")
    if planned:
        out.print("Nothing was changed.")
        return
    if done.carried or done.removed:
        out.print(
            f"  written by others since it was taken over: {done.carried:,} copied, {done.removed:,} removed"
        )
    if done.returned is None:
        out.print(
            "  the target did not say whether records stand again that Lockstep had removed; "
            f"`lockstep verify {done.mapping}` does."
        )
    elif done.returned:
        out.print(
            f"  {done.returned:,} that have no source any more stand again: Lockstep had removed them, and "
            f"others wrote them. `lockstep verify {done.mapping}` shows them, `lockstep repair "
            f"{done.mapping} --extras` removes them."
        )
    out.print(f"When nobody needs {done.kept} any more: DELETE /{done.kept}")
