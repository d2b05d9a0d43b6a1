"""lockstep report"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, output
from lockstep.cli.divergences import print_fields
from lockstep.cli.verb import LIMIT, REPORT, print_json, settings, verb
from lockstep.cli.visible import key_name

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.operations.reports import Found, Whole


@verb(
    name="report",
    example="""
    lockstep report 12
    lockstep report 12 --json | jq .agreement
    """,
    answer="""
    {"id", "agreement", "report": {as `verify` gives it},
     "divergences": [{"subject", "kind", "state", "first_at", "last_at",
                      "closed_at", "accepted_by", "because",
                      "divergence": {as in `verify`}}], "later"}
    state: open, closed (a later check no longer saw it), accepted. agreement:
    by now, all that it found is closed or accepted. later: the newest report
    that saw some of it again, and tells what became of that; else null.
    """,
)
@click.argument("number", metavar="ID", type=REPORT)
@click.option(
    "--limit",
    metavar="N",
    type=LIMIT,
    default=20,
    show_default=True,
    help="Show at most so many divergences.",
)
def command(number: int, limit: int) -> None:
    """Show one report of `lockstep reports`: what it found, and what became of it.

    Exits with 0 only if it found agreement, or if all that it found is closed or accepted by now.
    """
    from lockstep.operations.reports import report

    whole = report(settings().place(), number)
    if settings().json:
        print_json(_as_made(whole))
    else:
        out = output.console()
        body = whole.report
        cancelled = body.get("cancelled", False)
        counted = ", ".join(f"{count:,} {kind}" for kind, count in sorted(body["counts"].items()))
        sign = "✓" if whole.agreement else "✗"
        if cancelled:
            counted = f"was not checked to the end; found by then: {counted or 'nothing'}"
        out.print(f"{sign} {body['mapping']}: {counted or 'in agreement'}.", style="bold")
        took = output.span(body["ended_at"] - body["started_at"])
        keys = output.count(body["source_keys"], "source key")
        records = output.count(body["target_records"], "target record")
        if not cancelled:
            out.print(f"  compared  {keys} with {records} ({body['method']})")
        out.print(f"  when      {output.clock(body['started_at'])}, in {took}")
        if body["position"]:
            out.print(f"  position  {body['position']} of the source's log")
        for note in body["notes"]:
            out.print(f"  note      {note}")
        for one in whole.divergences[:limit]:
            _print(out, one)
        if len(whole.divergences) > limit:
            out.print(f"\n  The first {limit:,} are shown; --limit N shows more.")
        if whole.later is not None:
            out.print(
                f"\n  A later check saw some of it again: `lockstep report {whole.later}` shows what is open."
            )
        if body["counts"] and not whole.agreement:
            out.print()
            out.print(f"  `lockstep repair {body['mapping']}` mends what is Lockstep's to mend.")
            out.print(f"  `lockstep accept {number} NAME --because TEXT` lets one be.")
    if not whole.agreement:
        click.get_current_context().exit(exits.NO)


def _as_made(whole: Whole) -> dict[str, object]:
    """With times and keys as `verify` gives them: what is kept is JSON, which has neither."""
    import msgspec

    from lockstep.agreement.report import Divergence, Report
    from lockstep.cli.plain import plain

    found = [
        {**plain(one), "divergence": msgspec.convert(one.divergence, Divergence)} for one in whole.divergences
    ]
    return {**plain(whole), "report": msgspec.convert(whole.report, Report), "divergences": found}


def _print(out: Console, one: Found) -> None:
    from lockstep.agreement.fields import FieldDiff

    out.print()
    out.print(f"  {one.kind:<9}  {key_name(one.subject)}  ({one.state})", style="bold")
    if one.because:
        out.print(f"    accepted by {one.accepted_by}: {one.because}")
    for line in (one.divergence.get("reason"), one.divergence.get("cause")):
        if line:
            out.print(output.indented(line, 4))
    print_fields(out, [FieldDiff(**field) for field in one.divergence["fields"]], 20)
