"""lockstep retry"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.verb import print_json, settings, verb


@verb(
    name="retry",
    example="""
    lockstep retry users           # all stuck keys
    lockstep retry users 42 43
    lockstep retry seats 'acme|7'  # a key of two columns
    """,
    answer="""
    {"mapping", "keys", "running"}
    running: who will do it; null when the next run will.
    """,
)
@click.argument("mapping", shell_complete=names.mappings)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
def command(mapping: str, keys: tuple[str, ...]) -> None:
    """Try keys that failed again now: all stuck ones of MAPPING, or those that you name."""
    from lockstep.operations.status import status
    from lockstep.operations.stuck import retry

    pipeline = settings().load()
    asked = retry(pipeline, mapping, keys)
    running = status(pipeline).running
    if settings().json:
        print_json({"mapping": mapping, "keys": asked, "running": running})
    elif not asked:
        output.console().print(f"No key of {mapping} is stuck; there is nothing to try again.")
    else:
        what = f"{output.count(asked, 'key')} of {mapping}"
        output.console().print(output.carried_out(what, running))
