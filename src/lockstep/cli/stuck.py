"""lockstep stuck"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.verb import LIMIT, print_json, settings, verb
from lockstep.cli.visible import key_name

if TYPE_CHECKING:
    from lockstep.state.stuck import Stuck


@verb(
    name="stuck",
    example="""
    lockstep stuck users
    lockstep retry users 42
    """,
    answer="""
    {"count": 1, "stuck": [{"mapping", "key", "stage", "error", "remedy", "claim",
                            "attempts", "first_at", "last_at", "retry_at"}]}
    """,
)
@click.argument("mapping", required=False, shell_complete=names.mappings)
@click.option("--limit", metavar="N", type=LIMIT, default=20, show_default=True, help="At most so many keys.")
def command(mapping: str | None, limit: int) -> None:
    """Show the keys that failed, and why: those of MAPPING, or all.

    A stuck key is tried again by itself, less and less often. It blocks no other key.
    """
    from lockstep.forms import keys
    from lockstep.operations.status import status
    from lockstep.operations.stuck import stuck

    place = settings().place()
    found = stuck(place, mapping, limit=limit)[:limit]
    total = sum(one.stuck for one in status(place).mappings if mapping in (None, one.name))
    if settings().json:
        print_json({"count": total, "stuck": found})
        return
    out = output.console()
    if not found:
        out.print(f"No key{f' of {mapping}' if mapping else ''} is stuck.")
        return
    for one in found:
        tries = output.count(one.attempts, "attempt")
        out.print(f"{one.mapping} {key_name(keys.text(one.key))}", style="bold")
        out.print(f"  {one.stage} failed: {tries}, the first {output.ago(one.first_at)}{_next(one)}")
        out.print(output.indented(one.error, 2), style="red")
        if one.remedy:
            out.print(output.indented(one.remedy, 2))
        out.print()
    more = f" The first {len(found):,} are shown; --limit N shows more." if total > len(found) else ""
    out.print(f"{output.count(total, 'key is', 'keys are')} stuck.{more}")


def _next(one: Stuck) -> str:
    if one.retry_at is None:
        return ""
    late = one.retry_at <= time.time()
    return "; the next is due" if late else f"; the next {output.ago(one.retry_at)}"
