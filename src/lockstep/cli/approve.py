"""lockstep approve"""

from __future__ import annotations

import getpass

import click

from lockstep.cli import output
from lockstep.cli.duration import Duration
from lockstep.cli.verb import REPORT, print_json, settings, verb


@verb(
    name="approve",
    example="""
    lockstep approve 3 --why "the tenant has left, ticket 4711"
    lockstep approve 3 --why "spring cleaning" --most 20000 --within 2h
    """,
    answer="""
    the hold, as `lockstep holds --json` gives it
    """,
)
@click.argument("number", metavar="ID", type=REPORT)
@click.option("--why", metavar="TEXT", required=True, help="Why it may happen.")
@click.option(
    "--most",
    metavar="N",
    type=REPORT,
    help="At most so many changes.  [default: as many as the hold expects]",
)
@click.option(
    "--within",
    metavar="TIME",
    type=Duration(),
    default="1d",
    show_default=True,
    help="For so long from now on.",
)
@click.option("--by", metavar="NAME", help="Who approves it.  [default: who is logged in]")
def command(number: int, why: str, most: int | None, within: float, by: str | None) -> None:
    """Allow what `lockstep holds` shows under ID: so many changes of its kinds, for so long.

    What runs then is derived afresh and must fit that; the rest is held anew.
    """
    from lockstep.operations.holds import approve

    found = approve(settings().place(), number, why=why, by=by or getpass.getuser(), most=most, within=within)
    if settings().json:
        print_json(found)
    else:
        from lockstep.limits import CHANGES

        kinds = " and ".join(CHANGES[kind] for kind in found.kinds)
        if not kinds:
            output.console().print(f"Approved: {found.mapping} tries again, a few keys first.")
            return
        output.console().print(
            f"Approved: at most {output.count(found.most or 0, 'change')} ({kinds}) of {found.mapping}, "
            f"until {output.clock(found.until_at or 0)}."
        )
