"""lockstep demo"""

from __future__ import annotations

import click

from lockstep.cli import exits, output
from lockstep.cli.duration import Seconds
from lockstep.cli.verb import print_json, settings, verb


@verb(
    name="demo",
    example="""
    lockstep demo
    lockstep demo --seconds 30 --users 100000
    """,
    answer="""
    {"agreement", "users", "rows", "load_seconds", "documents_per_second",
     "traffic_seconds", "changes", "rolled_back", "lag_p50_ms", "lag_p99_ms",
     "search_hits", "checked_records", "check_seconds", "sabotaged", "found",
     "repaired", "noticed_seconds", "restored", "redriven", "restore_seconds",
     "rebuild_seconds", "seconds"}
    All of them were measured in this run.
    """,
)
@click.option(
    "--seconds",
    metavar="N",
    type=Seconds(0, 86_400),
    default=8.0,
    show_default=True,
    help="Live traffic for so long.",
)
@click.option(
    "--users",
    metavar="N",
    type=click.IntRange(100, 10_000_000),
    default=10_000,
    show_default=True,
    help="How many users there are at the beginning.",
)
def command(seconds: float, users: int) -> None:
    """See Lockstep keep two systems in agreement, without any setup.

    Makes a small application database and an index in a temporary directory, and removes them at the end.
    """
    from lockstep.demo.main import demo

    as_json = settings().json
    figures = demo(seconds=seconds, users=users, console=None if as_json else output.console(markup=True))
    if as_json:
        print_json(figures)
    if not figures.agreement:
        click.get_current_context().exit(exits.NO)
