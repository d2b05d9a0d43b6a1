"""lockstep reports"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.verb import LIMIT, print_json, settings, verb


@verb(
    name="reports",
    example="""
    lockstep reports
    lockstep reports users --limit 100
    """,
    answer="""
    {"reports": [{"id", "mapping", "method", "started_at", "verdict"}]}
    """,
)
@click.argument("mapping", required=False, shell_complete=names.mappings)
@click.option("--limit", metavar="N", type=LIMIT, default=20, show_default=True, help="At most so many.")
def command(mapping: str | None, limit: int) -> None:
    """List what checks found, the newest first: those of MAPPING, or all."""
    from lockstep.operations.reports import reports

    found = reports(settings().place(), mapping, limit)
    if settings().json:
        print_json({"reports": found})
        return
    out = output.console()
    if not found:
        out.print("No check was made yet: see `lockstep verify`.")
        return
    for one in found:
        sign = "✓" if one.verdict == "agreement" else "✗"
        when = output.clock(one.started_at)
        out.print(f"{one.id:>5}  {sign} {one.mapping:<20} {one.method:<6} {when}  {one.verdict}")
