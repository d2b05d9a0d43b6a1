"""How a pipeline stands, as `status` shows it and `run` draws it, and what of it needs a person."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lockstep.cli import output
from lockstep.engine.sources.kept import size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from lockstep.operations.standing import BackfillStatus, Ill, MappingStatus, Status

_LONG = 10.0
"""Seconds for which a hint may wait before that is worth a line."""

_STYLES = {
    "running": "green",
    "following": "green",
    "waiting": "yellow",
    "held": "bold red",
    "stopped": "bold red",
    "unfollowed": "bold red",
}


def mappings(
    known: Sequence[MappingStatus], *, running: bool = True, wide: bool = False, bars: bool = False
) -> RenderableType:
    """A row a mapping. `wide` has room for the target; `bars` draws the passes that are under way.

    Where nobody runs the pipeline, a mapping that would run is idle.
    """
    from rich.console import Group

    right = {"justify": "right"}
    table = output.grid(
        {"header": "MAPPING", "overflow": "ellipsis", **({} if wide else {"max_width": 20})},
        *(["TARGET"] if wide else []),
        "STATE",
        {"header": "WAITING", **right},
        {"header": "LAG p50/p99", **right},
        {"header": "STUCK", **right},
        *(["VERIFIED"] if wide else []),
        "BACKFILL",
    )
    for one in known:
        table.add_row(
            one.name,
            *([f"{one.target} ({one.generation})"] if wide else []),
            _state("idle" if one.state == "running" and not running else one.state),
            output.number(one.waiting_live + one.waiting_bulk),
            _lag(one.gauges),
            _stuck(one.stuck),
            *([_verified(one)] if wide else []),
            _backfill(one.backfill),
        )
    return Group(table, *(_bars(known) if bars else []), *_needs(known))


def sources(known: Mapping[str, Any], *, running: bool = True) -> RenderableType:
    """A row a source. Where nobody runs the pipeline, one that would be followed is idle."""
    from rich.console import Group

    table = output.grid(
        {"header": "SOURCE", "overflow": "ellipsis"}, "STATE", "LAST CHANGE", "BEHIND", "LOG KEPT"
    )
    reasons: list[RenderableType] = []
    for name, gauges in known.items():
        changed = gauges.get("last_change")
        state = gauges.get("state", "")
        table.add_row(
            output.redacted(name),
            _state("idle" if state == "following" and not running else state),
            output.ago(changed),
            _kept(gauges, "behind"),
            _kept(gauges, "retained"),
        )
        if gauges.get("reason"):
            reasons += ["", output.indented(f"{name}: {gauges['reason']}", 0)]
    return Group(table, *reasons)


def _kept(gauges: Mapping[str, Any], which: str) -> str:
    """How much of a source's log we have not acknowledged (`behind`), and it keeps for us (`retained`)."""
    retained = gauges.get(which)
    if retained is None:
        return "–"
    if gauges.get("retained_unit") != "bytes":
        return f"{retained:,}"
    return size(retained)


def _backfill(known: BackfillStatus | None) -> str:
    """How far the newest pass over all keys has come."""
    if known is None:
        return "–"
    return f"{_share(known):.0%}" if known.finished_at is None else f"done {output.ago(known.finished_at)}"


def _share(known: BackfillStatus) -> float:
    return min(known.done / known.total, 1.0) if known.total else 0.0


def _bars(known: Sequence[MappingStatus]) -> list[RenderableType]:
    """A bar for every pass that is under way: share, of how many, how fast, how much longer."""
    from rich.constrain import Constrain
    from rich.progress_bar import ProgressBar

    under_way = [
        (one, one.backfill) for one in known if one.backfill is not None and one.backfill.finished_at is None
    ]
    if not under_way:
        return []
    right = {"header": "", "justify": "right"}
    name = {"header": "", "max_width": 16, "overflow": "ellipsis"}
    table = output.grid(name, {"header": "", "ratio": 1}, right, right, right, header=False)
    table.expand = True
    for one, passing in under_way:
        rate = one.gauges.get("keys_per_second") or passing.rate  # of late, rather than since it began
        left = max(passing.total - passing.done, 0)
        table.add_row(
            one.name,
            ProgressBar(total=1.0, completed=_share(passing)),
            f"{_share(passing):.0%} of {output.number(passing.total)}",
            f"{output.number(rate)}/s" if rate else "",
            f"{output.span(left / rate)} left" if rate else "",
        )
    return ["", Constrain(table, 80)]


def sentence(one: MappingStatus) -> str:
    """A mapping on one line, for logs."""
    parts = [f"{one.name}: {one.state}"]
    known = one.backfill
    if known is not None and known.finished_at is None:
        eta = f", {output.span(known.eta)} left" if known.eta is not None else ""
        parts.append(
            f"backfill {output.number(known.done)} of about {output.number(known.total)} "
            f"({output.number(known.rate)}/s{eta})"
        )
    parts.append(f"{output.number(one.waiting_live + one.waiting_bulk)} waiting")
    if one.gauges.get("lag_p50") is not None:
        parts.append(f"lag {_lag(one.gauges)}")
    if one.stuck:
        parts.append(f"{output.number(one.stuck)} stuck")
    return ", ".join(parts)


def with_times(known: Mapping[str, Any]) -> dict[str, Any]:
    """Sources' gauges with their times as texts."""
    from lockstep.cli.plain import moment

    return {name: {**own, "last_change": moment(own.get("last_change"))} for name, own in known.items()}


def seen(at: float | None) -> str:
    """When a run last showed itself, if that is not just now."""
    return "" if at is None or time.time() - at < 5 else f", last seen {output.ago(at)}"


def _state(state: str) -> Text:
    from rich.text import Text

    return Text(state, style=_STYLES.get(state, ""))


def _stuck(number: int) -> Text:
    from rich.text import Text

    return Text(output.number(number), style="bold red" if number else "")


def _lag(gauges: Mapping[str, Any]) -> str:
    middle, high = gauges.get("lag_p50"), gauges.get("lag_p99")
    return "–" if middle is None else f"{output.span(middle)}/{output.span(high)}"


def _verified(one: MappingStatus) -> str:
    """When it was last shown to agree, or that it did not."""
    if one.verified_at is None:
        return "never"
    return f"{output.ago(one.verified_at)}{'' if one.verdict == 'agreement' else ': differs'}"


def recoverable(known: Status) -> list[RenderableType]:
    """What stands beside the live builds; the newest saved state of each target, and what the last rehearsal
    showed."""
    from rich.text import Text

    lines: list[RenderableType] = []
    for build in known.builds:
        what = {
            "building": "is being filled beside the live one",
            "kept": "is kept for `lockstep rollback`",
        }.get(build.state, "is a rehearsal's")
        waits = f", {output.count(build.waiting, 'hint')} behind" if build.waiting else ""
        words = f"{build.target}: generation {build.generation} {what}{waits}."
        lines.append(output.indented(words, 0))
    for saved in known.snapshots:
        proven = (
            f"proven {output.ago(saved.proven_at)}" if saved.proven_at else "never proven: `lockstep drill`"
        )
        records = "" if saved.records is None else f", {output.count(saved.records, 'record')}"
        when = output.ago(saved.begun_at)
        words = f"{saved.target}: saved state {saved.id} was taken {when}{records}; {proven}."
        lines.append(output.indented(words, 0))
    for drill in known.drills:
        when, whole = output.ago(drill.ended_at), drill.numbers.get("whole")
        took = f", in {output.span(whole)}" if isinstance(whole, int | float) else ""
        words = f"{drill.target}: the last rehearsal came back and agreed {when}{took}."
        if drill.outcome != "passed":
            words = f"{drill.target}: the last rehearsal failed {when}: {drill.reason}"
        lines.append(Text(output.redacted(words), style="" if drill.outcome == "passed" else "bold red"))
    return ["", *lines] if lines else []


def ills(known: Sequence[Ill]) -> list[RenderableType]:
    """What is ill, each with what to do about it."""
    from rich.text import Text

    found: list[RenderableType] = []
    for ill in known:
        if ill.kind in ("dead", "stopped"):
            continue  # the head and the mapping's own line say so
        sign, style = ("✗ ", "bold red") if ill.blocks else ("! ", "bold yellow")
        found += ["", Text.assemble((sign, style), output.redacted(f"{ill.subject}: {ill.problem}."))]
        found.append(output.indented(ill.remedy, 2))
    return found


def _needs(known: Sequence[MappingStatus]) -> list[RenderableType]:
    """What a person should read: why a mapping stopped or waits, and where keys are stuck."""
    found: list[RenderableType] = []
    for one in known:
        if one.backfill is not None and "has a hole" in one.backfill.reason:
            words = f"{one.name}: all keys were compared with the target: {one.backfill.reason}"
            found += ["", output.indented(words, 0)]
        if one.reason:
            found += ["", output.indented(f"{one.name} ({one.state}): {one.reason}", 0)]
        if one.lag is not None and one.lag > _LONG:
            settled = (
                f"the last was settled {output.ago(one.settled_at)}" if one.settled_at else "none was settled"
            )
            words = f"{one.name}: the oldest hint has been waiting for {output.span(one.lag)}; {settled}."
            found += ["", output.indented(words, 0)]
        if one.verdict not in (None, "agreement"):
            checked = f"{one.name}: not in agreement when it was verified {output.ago(one.verified_at)}: "
            found += ["", output.indented(f"{checked}{one.verdict}.", 0)]
        if one.stuck:
            keys = output.count(one.stuck, "key is", "keys are")
            found += ["", f"{one.name}: {keys} stuck; `lockstep stuck {one.name}` says why."]
    return found
