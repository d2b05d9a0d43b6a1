"""lockstep verify"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, names, output
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.agreement.verify import Divergence, Progress, Report

_KINDS = ("missing", "different", "extra", "failed")


@verb(
    name="verify",
    example="""
    lockstep verify
    lockstep verify users --json | jq .agreement
    """,
    answer="""
    {"agreement": false,
     "reports": [{"mapping", "agreement", "started_at", "ended_at",
                  "source_keys", "target_records", "records_compared",
                  "settled", "counts": {KIND: 1},
                  "divergences": [{"kind", "key", "target_key", "reason",
                      "fields": [{"path", "expected", "actual"}]}]}]}
    kind: missing, different, extra, failed. The first thousand divergences.
    """,
)
@click.argument("mappings", metavar="[MAPPING]...", nargs=-1, shell_complete=names.mappings)
@click.option("--limit", metavar="N", default=20, show_default=True, help="Show at most so many divergences.")
def command(mappings: tuple[str, ...], limit: int) -> None:
    """Compare everything, record by record: are they the same? Writes nothing.

    Trusts nothing stored: derives every record of the sources again, reads every record of the targets, and
    compares them field by field. Works beside a live run. Exits with 0 only when all are in agreement.
    """
    from lockstep.operations.verify import verify

    pipeline = settings().load()
    names = list(dict.fromkeys(mappings)) or list(pipeline.mappings)
    for name in names:
        pipeline.named(name)
    out = output.console()
    reports: list[Report] = []
    for name in names:
        with _progress(name) as advance:
            reports.append(verify(pipeline, name, on_progress=advance))
        if not settings().json:
            if len(reports) > 1:
                out.print()
            _print(out, reports[-1], limit)
    agreement = all(report.agreement for report in reports)
    if settings().json:
        print_json({"agreement": agreement, "reports": reports})
    if not agreement:
        click.get_current_context().exit(exits.NO)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[Progress], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    err = output.console(stderr=True)
    if not err.is_terminal:
        yield None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(24),
        progress.TextColumn("{task.fields[said]}"),
        progress.TimeRemainingColumn(compact=True),
    )
    with progress.Progress(*columns, console=err, transient=True) as shown:
        task = shown.add_task(f"{name}: reading", total=None, said="")

        def advance(now: Progress) -> None:
            words = f"{name}: reading the {now.stage}"
            said = f"{now.done:,} of {now.total:,}"
            shown.update(task, description=words, completed=now.done, total=now.total or None, said=said)

        yield advance


def _print(out: Console, report: Report, limit: int) -> None:
    from rich.text import Text

    if report.agreement:
        out.print(Text.assemble(("✓ ", "bold green"), (report.mapping, "bold"), " is in agreement."))
    else:
        kinds = sorted(report.counts, key=lambda kind: _KINDS.index(kind) if kind in _KINDS else 9)
        counted = ", ".join(f"{report.counts[kind]:,} {kind}" for kind in kinds)
        verdict = f" is not in agreement: {counted}."
        out.print(Text.assemble(("✗ ", "bold red"), (report.mapping, "bold"), verdict))
    took = output.span(report.ended_at - report.started_at)
    compared = output.count(report.records_compared, "record")
    out.print(f"  compared  {compared}, derived from {output.count(report.source_keys, 'source key')},")
    out.print(f"            with {output.count(report.target_records, 'target record')}, field by field")
    out.print(f"  when      {output.clock(report.started_at)}, in {took}")
    if report.settled:
        out.print(
            f"  excused   {output.count(report.settled, 'change')} on the way, settled by reading again"
        )
    for one in report.divergences[:limit]:
        _print_divergence(out, one)
    total = sum(report.counts.values())
    if total > limit:
        out.print()
        out.print(f"  The first {limit:,} of {total:,} are shown; --limit N shows more.")
    if total:
        out.print()
        out.print(f"  `lockstep explain {report.mapping} KEY` says more of one.")
        if report.counts.keys() != {"failed"}:
            out.print(f"  `lockstep backfill {report.mapping} --trust-target` mends what the target holds.")
        if "failed" in report.counts:
            out.print(f"  `lockstep stuck {report.mapping}` says what to do about keys that fail.")


def _print_divergence(out: Console, one: Divergence) -> None:
    out.print()
    same = one.target_key in (None, one.key) or one.key is None
    name = one.key or one.target_key or ""
    out.print(f"  {one.kind:<9}  {name}{'' if same else f' → {one.target_key}'}", style="bold")
    if one.reason:
        out.print(output.indented(one.reason, 4))
    for field in one.fields[:20]:
        out.print(output.difference(field.path, field.expected, field.actual, out.width))
    if len(one.fields) > 20:
        out.print(f"    and {len(one.fields) - 20:,} fields more")
