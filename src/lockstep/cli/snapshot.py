"""lockstep snapshot"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.duration import Duration
from lockstep.cli.repeating import repeated
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import REPORT, print_json, settings, verb

if TYPE_CHECKING:
    from lockstep.declaration.pipeline import Pipeline
    from lockstep.recovery.snapshot import Kept


@verb(
    name="snapshot",
    example="""
    lockstep snapshot
    lockstep snapshot users --keep 28
    lockstep snapshot users --every 6h --keep 28
    """,
    answer="""
    {"snapshot": {"id", "target", "generation", "name", "state", "begun_at",
                  "taken_at", "records", "size", "proven_at"},
     "forgotten": [ID]}
    With --every, one object a line.
    """,
)
@click.argument("target", required=False, shell_complete=names.targets)
@click.option(
    "--keep",
    metavar="N",
    type=REPORT,
    help="Keep only the newest so many; forget older ones.  [default: keep all]",
)
@click.option(
    "--every",
    metavar="TIME",
    type=Duration(),
    help="Do it this often until it is stopped: 6h.",
)
def command(target: str | None, keep: int | None, every: float | None) -> None:
    """Save the state of TARGET, or of the target of a mapping, so that it can be restored.

    `lockstep restore` brings it back with everything that changed since. Works beside a run. A target that is
    not what it should be is not saved, so that a loss never pushes out what could bring it back. Of the saved
    states that a restore or a drill has proven, the newest is always kept.
    """
    pipeline = settings().load()
    with stop_on_signals(say=False) as stop:
        repeated(lambda: _one(pipeline, target, keep, stop, one_line=every is not None), every, stop)


def _one(
    pipeline: Pipeline, target: str | None, keep: int | None, stop: threading.Event, *, one_line: bool
) -> None:
    from lockstep.recovery.snapshot import snapshot

    with progress_of("snapshot", lines=not settings().json) as advance:
        kept = snapshot(pipeline, target, keep=keep, on_progress=advance, stop=stop)
    if settings().json:
        print_json(kept, one_line=one_line)
    else:
        _print(kept)


def _print(kept: Kept) -> None:
    out, found = output.console(), kept.snapshot
    took = (found.taken_at or found.begun_at) - found.begun_at
    size = f", {output.size(found.size)}" if found.size is not None else ""
    out.print(
        f"Saved state {found.id} of {found.target}: {output.count(found.records or 0, 'record')}{size}, "
        f"in {output.span(took)}."
    )
    if kept.forgotten:
        out.print(f"Forgotten: {', '.join(map(str, kept.forgotten))}.")
    if found.proven_at is None:
        out.print("It is not proven yet: `lockstep drill` brings it back beside the rest, and measures.")
