"""lockstep accept"""

from __future__ import annotations

import getpass

import click

from lockstep.cli import output
from lockstep.cli.verb import REPORT, print_json, settings, verb
from lockstep.cli.visible import key_name


@verb(
    name="accept",
    example="""
    lockstep accept 12 4711 --because "kept for the auditors until June"
    lockstep accept 12 "→ legacy-1" --because "written by the old importer"
    """,
    answer="""
    {"report", "subject", "accepted"}
    """,
)
@click.argument("number", metavar="ID", type=REPORT)
@click.argument("subject", metavar="NAME")
@click.option("--because", metavar="TEXT", required=True, help="Why it may stay as it is.")
@click.option("--by", metavar="NAME", help="Who accepts it.  [default: who is logged in]")
def command(number: int, subject: str, because: str, by: str | None) -> None:
    """Accept a divergence that `lockstep report ID` names: checks no longer count it.

    It is shown as accepted, by whom and why. Once a check sees it closed, the acceptance ends.
    """
    from lockstep.operations.reports import accept

    count = accept(settings().place(), number, subject, because=because, by=by or getpass.getuser())
    if settings().json:
        print_json({"report": number, "subject": subject, "accepted": count})
    else:
        output.console().print(f"Accepted: {output.count(count, 'divergence')} of {key_name(subject)}.")
