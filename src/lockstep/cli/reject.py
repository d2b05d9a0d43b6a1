"""lockstep reject"""

from __future__ import annotations

import getpass

import click

from lockstep.cli import output
from lockstep.cli.verb import REPORT, print_json, settings, verb


@verb(
    name="reject",
    example="""
    lockstep reject 3 --why "nobody meant to empty it; it is being restored"
    """,
    answer="""
    the hold, as `lockstep holds --json` gives it
    """,
)
@click.argument("number", metavar="ID", type=REPORT)
@click.option("--why", metavar="TEXT", required=True, help="Why it must not happen.")
@click.option("--by", metavar="NAME", help="Who rejects it.  [default: who is logged in]")
def command(number: int, why: str, by: str | None) -> None:
    """Say that what `lockstep holds` shows under ID must not happen.

    It stays held, and its mapping with it, until the source no longer asks for it: mend the source.
    """
    from lockstep.operations.holds import reject

    found = reject(settings().place(), number, why=why, by=by or getpass.getuser())
    if settings().json:
        print_json(found)
    else:
        output.console().print(
            f"Rejected. {found.mapping} stays held until its source no longer asks for that."
        )
