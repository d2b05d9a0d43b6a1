"""lockstep verify"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.divergences import keys_of, print_fields
from lockstep.cli.duration import Seconds
from lockstep.cli.share import Share
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import LIMIT, print_json, settings, verb

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.agreement.report import Divergence, Report
    from lockstep.errors import LockstepError

_KINDS = ("missing", "stale", "different", "extra", "failed", "unsettled", "ledger", "invariant")


@verb(
    name="verify",
    example="""
    lockstep verify
    lockstep verify users --deep
    lockstep verify users --deep --resume
    lockstep verify users --sample 1%
    lockstep verify --json | jq .agreement
    """,
    answer="""
    {"agreement": false,
     "reports": [{"id", "mapping", "method", "agreement",
                  "started_at", "ended_at",
                  "source_keys", "target_records", "records_compared",
                  "spans", "differing", "settled", "moving", "behind", "notes",
                  "position", "accepted", "cancelled", "invariants",
                  "resumed_at",
                  "counts": {KIND: 1},
                  "divergences": [{"kind", "key", "target_key", "reason",
                      "cause", "source", "target",
                      "fields": [{"path", "expected", "actual"}]}]}]}
    kind: missing, stale, different, extra, failed, unsettled, ledger,
    invariant (key names its group). The first thousand divergences.
    method: fast, deep, sample.
    """,
)
@click.argument("mappings", metavar="[MAPPING]...", nargs=-1, shell_complete=names.mappings)
@click.option("--deep", is_flag=True, help="Trust nothing stored: derive, read and compare everything.")
@click.option("--sample", type=Share(), metavar="SHARE", help="As --deep, for a share of the keys: 1%.")
@click.option(
    "--resume", is_flag=True, help="With --deep: go on where a check was interrupted, however that happened."
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    help="Compare everything in this many processes. By default one for each core, 4 at most, if there is "
    "much to compare.",
)
@click.option(
    "--patience",
    metavar="SECONDS",
    type=Seconds(min=0),
    default=30.0,
    show_default=True,
    help="Wait at most so long for changes on their way.",
)
@click.option(
    "--limit",
    metavar="N",
    type=LIMIT,
    default=20,
    show_default=True,
    help="Show at most so many divergences.",
)
def command(
    mappings: tuple[str, ...],
    deep: bool,
    sample: float | None,
    resume: bool,
    jobs: int | None,
    patience: float,
    limit: int,
) -> None:
    """Compare source and target: are they the same? Writes nothing.

    By default each side is compared with the ledger by sums that the systems compute themselves, and only
    what differs is read: fast enough to ask every few minutes. It trusts that a record is what its
    fingerprint says; --deep does not. Works beside a live run: a change on its way is no difference. Exits
    with 0 only when all are in agreement. Ctrl-C ends it, with a report of how far it came and what it had
    found; a second one kills. A deep check keeps its place: --resume goes on from there, and starts from the
    beginning if none was begun.
    """
    from lockstep.errors import LockstepError, StateError
    from lockstep.operations.verify import verify

    if deep and sample is not None:
        raise click.UsageError("--deep looks at all keys, and --sample at some: give one of them.")
    if resume and not deep:
        raise click.UsageError("--resume goes on with a deep check: give --deep as well.")
    if jobs is not None and sample is not None:
        raise click.UsageError("--jobs shares out all keys, and --sample looks at some: give one of them.")
    method = "deep" if deep else "fast" if sample is None else "sample"
    pipeline = settings().load()
    names = list(dict.fromkeys(mappings)) or list(pipeline.mappings)
    for name in names:
        pipeline.named(name)
    out = output.console()
    reports: list[Report] = []
    failed: list[tuple[str, LockstepError]] = []
    for name in names:
        try:
            with stop_on_signals(say=False) as stop, progress_of(name) as advance:
                report = verify(
                    pipeline,
                    name,
                    method=method,
                    share=sample or 1.0,
                    patience=patience,
                    resume=resume,
                    jobs=jobs,
                    on_progress=advance,
                    stop=stop,
                )
        except LockstepError as error:
            if len(names) == 1 or isinstance(error, StateError):
                raise
            failed.append((name, error))  # the others may have other systems
            continue
        reports.append(report)
        if not settings().json:
            if len(reports) > 1:
                out.print()
            _print(out, report, limit)
        if report.cancelled:
            break
    agreement = all(report.agreement for report in reports) and not failed
    if settings().json:
        print_json({"agreement": agreement, "reports": reports})
    if any(report.cancelled for report in reports):
        click.get_current_context().exit(exits.INTERRUPTED)
    if failed:
        raise _together(failed)
    if not agreement:
        click.get_current_context().exit(exits.NO)


def _together(failed: Sequence[tuple[str, LockstepError]]) -> LockstepError:
    """What kept mappings from being checked, as one error: the gravest, which says all."""
    gravest = max((error for _, error in failed), key=exits.code_of)
    said = "\n".join(f"mapping {name} was not checked: {error}" for name, error in failed)
    gravest.remedy = "\n".join(dict.fromkeys(error.remedy for _, error in failed))
    gravest.args = (said,)
    return gravest


def _print(out: Console, report: Report, limit: int) -> None:
    from rich.text import Text

    if report.cancelled:
        found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.counts.items())) or "nothing"
        verdict = f" was not checked to the end; found by then: {found}."
        out.print(Text.assemble(("✗ ", "bold red"), (report.mapping, "bold"), verdict))
    elif report.agreement:
        out.print(Text.assemble(("✓ ", "bold green"), (report.mapping, "bold"), " is in agreement."))
    else:
        kinds = sorted(report.counts, key=lambda kind: _KINDS.index(kind) if kind in _KINDS else 9)
        counted = ", ".join(f"{report.counts[kind]:,} {kind}" for kind in kinds)
        verdict = f" is not in agreement: {counted}."
        out.print(Text.assemble(("✗ ", "bold red"), (report.mapping, "bold"), verdict))
    took = output.span(report.ended_at - report.started_at)
    for label, words in _compared(report) if not report.cancelled else ():
        out.print(f"  {label:<8}  {words}")
    resumed = f"; resumed {output.clock(report.resumed_at)}" if report.resumed_at is not None else ""
    out.print(f"  when      {output.clock(report.started_at)}, in {took}{resumed}")
    if report.invariants:
        out.print(f"  invariant {output.count(report.invariants, 'invariant')}, by groups or dates")
    if report.settled:
        out.print(
            f"  excused   {output.count(report.settled, 'change')} on the way, settled by reading again"
        )
    if report.accepted:
        out.print(f"  accepted  {output.count(report.accepted, 'divergence')}, see `lockstep report`")
    if report.moving:
        out.print(f"  moving    {output.count(report.moving, 'key')} changed each time they were looked at")
    if report.behind:
        out.print(
            f"  noted     {output.count(report.behind, 'key')} whose rows changed and whose records did not"
        )
    for note in report.notes:
        out.print(f"  note      {note}")
    if any(one.fields for one in report.divergences[:limit]):
        out.print("  fields    as the target holds them → as the source means them")
    for one in report.divergences[:limit]:
        _print_divergence(out, one)
    total = sum(report.counts.values())
    if total > limit:
        out.print()
        out.print(f"  The first {limit:,} of {total:,} are shown; --limit N shows more.")
    if total:
        out.print()
        out.print(f"  `lockstep explain {report.mapping} KEY` says more of one.")
        if report.counts.keys() - {"failed", "invariant"}:
            out.print(f"  `lockstep repair {report.mapping}` mends what is Lockstep's to mend.")
        if "failed" in report.counts:
            out.print(f"  `lockstep stuck {report.mapping}` says what to do about keys that fail.")


def _compared(report: Report) -> Iterator[tuple[str, str]]:
    """What was compared, line by line."""
    records = output.count(report.target_records, "target record")
    keys = output.count(report.source_keys, "source key")
    if report.method == "fast":
        spans = output.count(report.spans, "span")
        yield "compared", f"{keys} with {records}, by sums in {spans}"
        if report.differing:
            differing = output.count(report.differing, "span")
            yield "read", f"{differing} key by key, where the sums differed"
    elif report.method == "deep":
        compared = output.count(report.records_compared, "record")
        yield "compared", f"{compared}, derived from {keys},"
        yield "", f"with {records}, field by field"
    else:
        compared = output.count(report.records_compared, "record")
        yield "compared", f"{compared}, derived from a sample of {keys}, field by field"


def _print_divergence(out: Console, one: Divergence) -> None:
    out.print()
    out.print(f"  {one.kind:<9}  {keys_of(one.key, one.target_key)}", style="bold")
    if one.reason:
        out.print(output.indented(one.reason, 4))
    if one.cause:
        out.print(output.indented(f"cause: {one.cause}", 4))
    print_fields(out, one.fields, 20)
