"""lockstep check"""

from __future__ import annotations

import click

from lockstep.cli import exits, output
from lockstep.cli.verb import print_json, settings, verb


@verb(
    name="check",
    example="""
    lockstep check && lockstep run
    """,
    answer="""
    {"ok": true, "findings": [{"subject", "problem", "mend", "blocks"}]}
    """,
)
def command() -> None:
    """Say what would go wrong, before anything runs.

    Asks both sides for their settings and privileges, and tries every mapping on samples. Changes nothing.
    Exits with 1 when something found must be mended first.
    """
    from lockstep.operations.check import check

    pipeline = settings().load()
    findings = check(pipeline)
    blocked = sum(finding.blocks for finding in findings)
    if settings().json:
        print_json({"ok": not blocked, "findings": findings})
    else:
        out = output.console()
        for finding in findings:
            out.print(
                "✗ " if finding.blocks else "! ", style="bold red" if finding.blocks else "yellow", end=""
            )
            out.print(output.hanging(f"{finding.subject}: {finding.problem}", 2))
            if finding.mend:
                out.print(output.indented(finding.mend, 2), style="dim")
            out.print()
        out.print(_verdict(len(pipeline.mappings), len(findings), blocked))
    if blocked:
        click.get_current_context().exit(exits.NO)


def _verdict(mappings: int, findings: int, blocked: int) -> str:
    if blocked:
        return f"{output.count(blocked, 'finding')} must be mended before `lockstep run`."
    checked = f"{output.count(mappings, 'mapping')} checked"
    if findings:
        return f"{checked}. Nothing stands in the way of `lockstep run`; read the remarks above."
    return f"{checked}. Nothing stands in the way of `lockstep run`."
