"""lockstep repair"""

from __future__ import annotations

import click

from lockstep.cli import names, output
from lockstep.cli.verb import REPORT, print_json, settings, verb
from lockstep.cli.visible import key_name

KINDS = ("missing", "stale", "different", "extra", "unsettled", "ledger")


@verb(
    name="repair",
    example="""
    lockstep repair users --dry-run
    lockstep repair users
    lockstep repair users --only missing --only stale
    lockstep repair 12  # what report 12 found
    lockstep repair users --only extra --extras
    """,
    answer="""
    {"mapping", "report", "keys": {KIND: 1}, "running", "asked",
     "removed": 0, "left": [{"subject", "kind", "reason"}], "more": 0}
    running: who will do it; null when the next run will. asked: false with
    --dry-run.
    """,
)
@click.argument("what", metavar="MAPPING|REPORT", shell_complete=names.mappings)
@click.option(
    "--only", type=click.Choice(KINDS), multiple=True, help="Repair divergences of this kind alone."
)
@click.option("--extras", is_flag=True, help="Also remove what no mapping wrote. No run may be at work.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked for, and ask for nothing.")
def command(what: str, only: tuple[str, ...], extras: bool, dry_run: bool) -> None:
    """Repair what checks of MAPPING found, or one REPORT, key by key: only what is open.

    Each key is derived again and compared with what the target holds now; what differs is written, through
    the ordinary path. A record that this mapping wrote and that nobody derives any longer is removed; what
    Lockstep did not write is left.
    """
    from lockstep.operations.repair import repair

    pipeline = settings().load()
    numbered = None
    if what.isdecimal() and what not in pipeline.mappings:
        numbered = REPORT.convert(int(what), None, click.get_current_context())
    done = repair(
        pipeline,
        what if numbered is None else None,
        report=numbered,
        only=only,
        extras=extras,
        dry_run=dry_run,
    )
    mapping = done.mapping
    if settings().json:
        print_json(done)
        return
    out = output.console()
    total = sum(done.keys.values())
    counted = ", ".join(f"{count:,} {kind}" for kind, count in done.keys.items())
    if done.removed:
        did = "Would remove" if dry_run else "Removed"
        out.print(f"{did} {output.count(done.removed, 'record')} that no mapping wrote.")
    if not total:
        if not done.removed:
            out.print(f"Nothing of {mapping} is to be repaired.")
    elif dry_run:
        out.print(
            f"Would repair {output.count(total, 'key')} of {mapping}: {counted}. Nothing was asked for."
        )
    else:
        out.print(output.carried_out(f"{output.count(total, 'key')} of {mapping} ({counted})", done.running))
        out.print(f"Afterwards `lockstep verify {mapping}` shows whether all is closed.")
    if done.more:
        out.print(
            f"{output.count(done.more, 'divergence')} more were counted and not kept: verify again "
            f"afterwards, or derive everything: `lockstep backfill {mapping} --trust-target`."
        )
    for one in done.left[:20]:
        out.print(f"  left  {one.kind:<9}  {key_name(one.subject)}: {one.reason}")
    if len(done.left) > 20:
        out.print(f"  and {len(done.left) - 20:,} more are left")
