"""lockstep holds"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, output
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.operations.holds import Held


@verb(
    name="holds",
    example="""
    lockstep holds
    lockstep holds --all
    lockstep approve 3 --why "the tenant has left, ticket 4711"
    """,
    answer="""
    {"held": 1,
     "holds": [{"id", "mapping", "policy", "reason", "kinds", "expected",
                "keys", "numbers", "state", "opened_at", "seen_at",
                "decided_at", "decided_by", "why", "most", "until_at", "used",
                "closed_at", "preview", "build": [NUMBER, STATE]}]}
    preview: lines of what would follow, where the target can say it
    (Zuora: the next invoice).
    state: open, rejected, approved or closed. held: those that hold something.
    build: null for the live one. What a kept build holds is not counted.
    """,
)
@click.option("--all", "closed", is_flag=True, help="Show past holds, too.")
def command(closed: bool) -> None:
    """Show what the guard holds back until a person has decided.

    A hold stops one mapping, whose changes wait meanwhile; nothing of them is lost. It goes on by itself once
    the source no longer asks for what is held. Exits with 1 while something is held.
    """
    from lockstep.operations.holds import holds

    found = holds(settings().place(), closed=closed)
    standing = [one for one in found if one.holding]
    if settings().json:
        print_json({"held": len(standing), "holds": found})
    else:
        out = output.console()
        if not found:
            out.print("Nothing is held.")
        for one in found:
            show(out, one)
    if standing:
        click.get_current_context().exit(exits.NO)


def show(out: Console, one: Held) -> None:
    """A hold, and what a person can do."""
    style = "bold red" if one.state in ("open", "rejected") else "bold"
    of = "" if one.build is None else ", build {} ({})".format(*one.build)
    out.print(f"{one.id}  {one.mapping}{of}: {one.policy}, {one.state}", style=style)
    out.print(output.indented(f"{one.reason}.", 4))
    seen = f", seen again {output.ago(one.seen_at)}" if one.seen_at - one.opened_at > 1 else ""
    out.print(f"    since {output.clock(one.opened_at)} ({output.ago(one.opened_at)}){seen}")
    if one.keys:
        out.print(output.indented(f"among others {', '.join(one.keys)}", 4))
    if one.preview:
        out.print("    what would follow, as the target says:")
        for line in one.preview:
            out.print(output.indented(line, 6))
    said = "rejected" if one.most is None else "approved"  # also of one that is closed by now
    if one.decided_by is not None:
        out.print(output.indented(f"{said} by {one.decided_by}: {one.why}", 4))
    if one.state == "approved":
        out.print(f"    {one.used:,} of at most {one.most:,} done, until {output.clock(one.until_at or 0)}")
    if one.state == "open":
        out.print(f"    `lockstep approve {one.id} --why TEXT` lets it go, `reject` says that it must not.")
    if one.closed_at is not None:
        out.print(f"    closed {output.ago(one.closed_at)}")
