"""lockstep snapshots"""

from __future__ import annotations

import click

from lockstep.cli import output
from lockstep.cli.verb import print_json, settings, verb


@verb(
    name="snapshots",
    example="""
    lockstep snapshots
    lockstep snapshots --all
    """,
    answer="""
    {"snapshots": [{"id", "target", "generation", "name", "state", "reason",
                    "begun_at", "taken_at", "records", "size", "proven_at",
                    "mappings": {MAPPING: {"consumer", "version", "since"}}}]}
    state: whole, taking, failed, damaged, forgotten.
    """,
)
@click.option("--all", "everything", is_flag=True, help="Also those that are forgotten, failed or damaged.")
def command(everything: bool) -> None:
    """List the saved states of all targets, the newest first, and which were ever proven."""
    from lockstep.recovery.listing import snapshots

    found = snapshots(settings().place(), everything=everything)
    if settings().json:
        print_json({"snapshots": found})
        return
    out = output.console()
    if not found:
        out.print("Nothing was saved yet: see `lockstep snapshot`.")
        return
    for one in found:
        sign = {"whole": "✓", "taking": "…"}.get(one.state, "✗")
        records = "" if one.records is None else output.count(one.records, "record")
        size = "" if one.size is None else f", {output.size(one.size)}"
        proven = "not proven" if one.proven_at is None else f"proven {output.clock(one.proven_at)}"
        said = proven if one.state == "whole" else f"{one.state}: {one.reason}" if one.reason else one.state
        out.print(f"{one.id:>5}  {sign} {one.target}  {output.clock(one.begun_at)}  {records}{size}  {said}")
