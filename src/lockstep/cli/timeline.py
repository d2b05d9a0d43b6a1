"""lockstep timeline"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.duration import Moment
from lockstep.cli.verb import print_json, settings, verb
from lockstep.cli.visible import visible


@verb(
    name="timeline",
    example="""
    lockstep timeline
    lockstep timeline --since 03:00 --until 05:30
    lockstep timeline --since 2h --mapping users
    lockstep timeline --since 2026-11-27T22:00 --markdown > incident.md
    """,
    answer="""
    {"since_at", "until_at", "mapping",
     "happenings": [{"happened_at", "kind", "subject", "text", "who", "why",
                     "seconds", "numbers"}],
     "summary": {"first_sign", "held", "decided", "agreed", "unproven"},
     "notes": []}
    summary: each one of the happenings, or null; unproven: mappings. Nothing
    is folded. The kinds are in docs/timeline.md.
    """,
)
@click.option("--since", metavar="TIME", type=Moment(), default="1d", show_default=True, help="From then on.")
@click.option("--until", metavar="TIME", type=Moment(), help="Up to then.  [default: now]")
@click.option(
    "--mapping",
    metavar="MAPPING",
    shell_complete=names.mappings,
    help="Only what concerns it, its source and its target.",
)
@click.option("--markdown", is_flag=True, help="For the incident report: a summary and a table.")
def command(since: float, until: float | None, mapping: str | None, markdown: bool) -> None:
    """Tell what happened, in order, from all that was recorded: runs, faults, holds, decisions, checks.

    Reads the state store only. TIME is 2h (ago), 03:12 (the last time it was), 2026-11-27 or
    2026-11-27T03:12+01:00; without a zone it is that of the machine, as are the times that are shown. What
    happened again and again is one line.
    """
    from lockstep.operations.history import history

    found = history(settings().place(), since=since, until=until, mapping=mapping)
    if settings().json:
        print_json(found)
    elif markdown:
        from lockstep.cli import incident

        click.echo(visible(incident.page(found)), nl=False)
    else:
        from lockstep.cli import story

        story.show(output.console(), found)
