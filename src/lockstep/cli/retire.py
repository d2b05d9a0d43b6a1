"""lockstep retire"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.verb import WHY, print_json, settings, verb


@verb(
    name="retire",
    example="""
    lockstep retire
    lockstep retire users --unfinished
    """,
    answer="""
    {"removed": [{"target", "number", "state", "created_at"}]}
    """,
)
@click.argument("target", required=False, shell_complete=names.targets)
@click.option("--unfinished", is_flag=True, help="Also what a deploy or restore has begun and not finished.")
@WHY
def command(target: str | None, unfinished: bool, why: str | None) -> None:
    """Remove the build that is kept for `lockstep rollback`, for good."""
    from lockstep.recovery.retire import retire

    found = retire(settings().load(), target, unfinished=unfinished, why=why)
    if settings().json:
        print_json({"removed": found})
        return
    out = output.console()
    for one in found:
        out.print(f"Removed: generation {one.number} of {one.target} ({one.state}).")
    if not found:
        out.print("Nothing is kept beside the live build.")
