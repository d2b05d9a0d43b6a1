"""lockstep status"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from lockstep.cli import exits, output, standing
from lockstep.cli.duration import Duration
from lockstep.cli.verb import print_json, settings, verb
from lockstep.place import Place

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lockstep.operations.standing import Status


@verb(
    name="status",
    example="""
    lockstep status
    lockstep status --watch
    lockstep status --ready --verified-within 1d  # may one rely on the targets?
    lockstep status --alive                       # else a restart helps
    """,
    answer="""
    {"state", "running", "last_outcome", "seen_at", "ready",
     "ills": [{"subject", "kind", "problem", "remedy", "blocks"}],
     "sources": {NAME: {"state", "reason", "position", "end", "last_change",
                        "retained", "retained_unit", "behind", "room"}},
     "mappings": [{"name", "target", "generation", "state", "reason",
                   "waiting_live", "waiting_bulk", "stuck", "lag", "gauges",
                   "settled_at", "verified_at", "verdict",
                   "backfill": {"reason", "done", "total", "rate", "eta",
                                "started_at", "finished_at"}}],
     "holds": [as of `lockstep holds`],
     "snapshots": [{"target", "id", "begun_at", "records", "size", "proven_at"}],
     "drills": [{"target", "snapshot", "ended_at", "outcome", "reason",
                 "numbers"}],
     "builds": [{"target", "generation", "state", "created_at", "waiting"}]}
    snapshots: the newest of each target; drills: the last of each; builds:
    those beside the live ones: building, scratch, kept.
    With --watch, one object a line. rate: keys a second; eta, lag: seconds.
    kind: dead, wedged, stopped, held, waiting, behind, unfollowed, log, verify.
    """,
)
@click.option("--watch", is_flag=True, help="Keep it on the screen until Ctrl-C.")
@click.option("--ready", "probe", flag_value="ready", help="Exit with 1 unless everything makes progress.")
@click.option("--alive", "probe", flag_value="alive", help="Exit with 1 if a restart of the run would help.")
@click.option(
    "--within",
    metavar="TIME",
    type=Duration(),
    default="2m",
    show_default=True,
    help="How long something may go without progress.",
)
@click.option("--verified-within", metavar="TIME", type=Duration(), help="How old the last proof may be.")
def command(watch: bool, probe: str | None, within: float, verified_within: float | None) -> None:
    """Show what runs, how far it is behind, and what is stuck or ill.

    Reads the state store only, so it answers when a database does not. Health means progress: a run that is
    there but makes none is ill. Exits with 1 when a mapping stopped. --ready and --alive are for probes: they
    print what is ill and what to do about it, and nothing else. TIME is 90s, 5m, 12h or 7d.
    """
    from lockstep.operations.status import status

    place = settings().place()
    if watch:
        _watch(place)
        return
    found = status(place, patience=within, verified_within=verified_within)
    if probe is not None:
        _probed(found, probe)
        return
    if settings().json:
        _print_json(found)
    else:
        output.show(_drawn(found))
    if any(one.state == "stopped" for one in found.mappings):
        click.get_current_context().exit(exits.NO)


def _probed(found: Status, probe: str) -> None:
    """Says what is ill, for the log of whoever asks every few seconds."""
    from lockstep.operations.health import RESTART_MENDS

    ills = [ill for ill in found.ills if probe == "ready" or ill.kind in RESTART_MENDS]
    well = not any(ill.blocks for ill in ills)
    if settings().json:
        print_json({probe: well, "ills": ills})
    else:
        click.echo(f"{'' if well else 'not '}{probe}")
        for ill in ills:
            output.line(f"{ill.subject}: {ill.problem}. {ill.remedy}")
    if not well:
        click.get_current_context().exit(exits.NO)


def _print_json(found: Status, *, one_line: bool = False) -> None:
    from lockstep.cli.plain import plain

    sources = standing.with_times(found.sources)
    print_json({**plain(found), "ready": found.ready, "sources": sources}, one_line=one_line)


def _drawn(found: Status, *, bars: bool = False) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    if found.running is not None:
        head = Text.assemble(("Running", "bold green"), f" by {found.running}{standing.seen(found.seen_at)}")
    else:
        last = {
            None: "no run has ended yet",
            "done": "the last run did all there was to do",
            "stopped": "the last run was stopped",
            "failed": "the last run failed",
            "died": "the last run died",
        }.get(found.last_outcome, f"the last run: {found.last_outcome}")
        head = Text.assemble(("Not running", "bold yellow"), f"; {last}, {output.ago(found.seen_at)}")
    if found.seen_at is None and not found.mappings:
        return Text("Nothing has run yet. Start with `lockstep run`.")
    parts: list[RenderableType] = [head]
    if found.sources:
        parts += ["", standing.sources(found.sources, running=found.running is not None)]
    wide = output.console().width > 120
    parts += ["", standing.mappings(found.mappings, running=found.running is not None, wide=wide, bars=bars)]
    return Group(*parts, *standing.recoverable(found), *standing.ills(found.ills))


def _watch(place: Place) -> None:
    """Draws it again every second. Ctrl-C is how one leaves, and no failure."""
    from rich.live import Live

    from lockstep.operations.status import status

    out = output.console()
    try:
        if settings().json or not out.is_terminal:
            while True:
                found = status(place)
                if settings().json:
                    _print_json(found, one_line=True)
                else:
                    out.print(_drawn(found))
                    out.print()
                time.sleep(1)
        with Live(_drawn(status(place)), console=out, auto_refresh=False, screen=False) as live:
            while True:
                time.sleep(1)
                live.update(_drawn(status(place), bars=True), refresh=True)
    except KeyboardInterrupt:
        return
