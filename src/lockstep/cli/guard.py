"""lockstep guard"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, output
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from lockstep.operations.guard import Judgement

_SHARE = click.FloatRange(0, 100)
_STYLES = {"refuse": ("refused", "bold red"), "hold": ("held", "bold yellow"), "note": ("note", "dim")}


@verb(
    name="guard",
    example="""
    terraform show -json plan.out | lockstep guard terraform -
    lockstep guard terraform plan.json --approve aws_db_instance.old
    lockstep guard fleet actions.json --most 10
    """,
    answer="""
    {"kind", "verdict": "allowed|held|refused", "judged",
     "findings": [{"rule", "severity", "address", "sentence", "mend"}],
     "unused": approvals that met nothing}
    """,
)
@click.argument("kind", type=click.Choice(["terraform", "fleet"]))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--approve",
    "approved",
    metavar="NAME",
    multiple=True,
    help="Let pass what is held at this address. May be repeated.",
)
@click.option(
    "--most",
    metavar="PERCENT",
    type=_SHARE,
    default=30,
    show_default=True,
    help="The share of a fleet that may go at once.",
)
@click.option(
    "--unreachable",
    metavar="PERCENT",
    type=_SHARE,
    default=50,
    show_default=True,
    help="fleet: with more of it unreachable than this, the observer is suspected.",
)
def command(kind: str, file: Path, approved: tuple[str, ...], most: float, unreachable: float) -> None:
    """Say whether a plan of other automation may run; exits with 0 if it may, 1 if it is held or refused.

    FILE is the output of `terraform show -json`, or the hosts a healer is about to act upon
    (docs/guard-plans.md);
    "-" is standard input. Reads nothing else: no pipeline, no network.
    """
    from lockstep.operations.guard import guard_fleet, guard_terraform

    if kind == "terraform":
        judged = guard_terraform(file, most=most / 100, approved=approved)
    else:
        judged = guard_fleet(file, most=most / 100, most_unreachable=unreachable / 100, approved=approved)
    if settings().json:
        print_json(judged._asdict())
    else:
        _show(judged)
    if judged.verdict != "allowed":
        click.get_current_context().exit(exits.NO)


def _show(judged: Judgement) -> None:
    out = output.console()
    for one in judged.findings:
        word, style = _STYLES[one.severity]
        out.print(f"{word:<9}", style=style, end="")
        out.print(output.hanging(f"{one.sentence} [{one.rule}]", 9))
        if one.mend:
            out.print(output.indented(one.mend, 9))
    for name in judged.unused:
        output.say(f"--approve {name}: nothing of this name was held.")
    looked = output.count(judged.judged, "change" if judged.kind == "terraform" else "host")
    said = {
        "allowed": "Allowed",
        "held": "Held: nothing may run until a person has looked",
        "refused": "Refused",
    }
    out.print(f"{said[judged.verdict]}. {looked} judged.", style="bold")
