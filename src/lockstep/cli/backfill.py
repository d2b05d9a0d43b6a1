"""lockstep backfill"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.verb import print_json, settings, verb


@verb(
    name="backfill",
    example="""
    lockstep backfill users
    lockstep backfill users --trust-target  # somebody else wrote to the target
    lockstep backfill users --rebuild       # the target was lost
    """,
    answer="""
    {"mapping", "keys", "generation", "running"}
    running: who will do it; null when the next run will.
    """,
)
@click.argument("mapping", shell_complete=names.mappings)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option(
    "--trust-target", is_flag=True, help="Compare with what the target holds now, not with the ledger."
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Fill a new, empty build of the target. No run may go on; the next one fills it.",
)
def command(mapping: str, keys: tuple[str, ...], trust_target: bool, rebuild: bool) -> None:
    """Have all keys of MAPPING derived again, or those that you name.

    Leaves a request, which the current run or the next one carries out. Records that are already equal are
    not written again.
    """
    if rebuild and keys:
        raise click.UsageError("--rebuild builds the whole target: it takes no keys.")
    from lockstep.operations.backfill import backfill

    asked = backfill(settings().load(), mapping, keys, trust_target=trust_target, rebuild=rebuild)
    if settings().json:
        print_json(asked)
        return
    about = "" if keys else "about "
    what = f"{about}{output.count(asked.keys, 'key')} of {mapping} (generation {asked.generation})"
    output.console().print(output.carried_out(what, asked.running))
