"""A timeline as lines for a person at night: days as headings, a line an event, what repeats folded."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from lockstep.cli import output
from lockstep.cli.visible import visible
from lockstep.operations.folding import Line, folded
from lockstep.operations.happening import WELL, ill

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from lockstep.operations.history import History
    from lockstep.operations.summary import Summary


def show(out: Console, found: History) -> None:
    """Prints it. A file or a pipe gets each line whole, and without the cost of drawing it."""
    for line in _drawn(found, out.width):
        if out.is_terminal:
            out.print(line)
        else:
            click.echo(visible(line.plain))


def _drawn(found: History, width: int) -> Iterator[Text]:
    from rich.text import Text

    lines = folded(found.happenings)
    if not lines:
        yield Text(f"Nothing is recorded since {output.clock(found.since_at)}.")
    kinds = max((len(line.first.kind) for line in lines), default=0)
    heading = None
    for line in lines:
        at = local(line.first.happened_at)
        if heading != (day := f"{at:%A} {at.day} {at:%B %Y}, {zone(at)}"):
            yield Text.assemble("" if heading is None else "\n", (day, "bold"))
            heading = day
        sign = "✗" if ill(line.first) else "✓" if line.first.kind in WELL else " "
        head = f"{at:%H:%M:%S} {sign} {line.first.kind.ljust(kinds)}  "
        subject = output.redacted(f"{line.first.subject}: " if line.first.subject else "")
        text = Text(_hanging(subject + said(line), len(head), width))
        text.stylize("bold", 0, len(subject.rstrip(": ")))
        yield Text.assemble((head, _style(line)), text)
    for word, value in outline(found.summary) if lines else ():
        yield Text.assemble("\n" if word == "First sign" else "", (f"{word}: ", "bold"), value)
    for note in found.notes:
        yield Text(f"Note: {note}.")


def _hanging(text: str, by: int, width: int) -> str:
    """A text whose lines after the first keep `by` columns from the margin."""
    if by + len(text) <= width:
        return text
    return f"\n{' ' * by}".join(textwrap.wrap(text, max(width - by, 20)))


def said(line: Line) -> str:
    """What a line says after time, kind and subject."""
    first = line.first
    parts = [first.text.removeprefix(f"{first.subject} ").rstrip(".").replace("\n", " ")]
    if first.who is not None:
        parts.append(f" — by {first.who}" + (f": {first.why}" if first.why else ""))
    elif first.why:
        parts.append(f" — {first.why}")
    if line.seconds is not None and line.seconds >= 1:
        parts.append(f" ({'together ' if line.times > 1 else ''}{output.span(line.seconds)})")
    if line.times > 1:
        parts.append(f"; {line.times:,} times {_until(line)}")
    return output.redacted("".join(parts))


def _until(line: Line) -> str:
    first, last = local(line.first.happened_at), local(line.last_at)
    if first.date() != last.date():
        return f"until {last:%Y-%m-%d %H:%M:%S}"
    return f"within {output.span(round(line.last_at - line.first.happened_at))}"


def outline(known: Summary) -> list[tuple[str, str]]:
    """The summary, in words: what, and when that was after the first sign."""
    if known.first_sign is None:
        return []
    begun = known.first_sign.happened_at
    found = []
    for word, one, none in (
        ("First sign", known.first_sign, ""),
        ("Hold", known.held, "nothing was held"),
        ("Decision", known.decided, "nobody has decided anything"),
        ("Agreement again", known.agreed, _unproven(known)),
    ):
        if one is None:
            found.append((word, none))
            continue
        passed = round(one.happened_at - begun)
        after = f", {output.span(passed)} later" if passed >= 1 else ""
        line = Line(one, 1, one.happened_at, None)
        subject = f" {one.subject}" if one.subject else ""
        words = f"{output.clock(one.happened_at)}{after}: {one.kind}{subject}: {said(line)}"
        found.append((word, output.redacted(words)))
    return found


def _unproven(known: Summary) -> str:
    if not known.unproven:
        return "not shown"
    names = ", ".join(known.unproven)
    return f"not shown yet: no check of {names} has shown it since; `lockstep verify` does"


def local(at: float) -> dt.datetime:
    """A time in the zone of whoever reads it."""
    return dt.datetime.fromtimestamp(at, dt.UTC).astimezone()


def zone(at: dt.datetime) -> str:
    """UTC+01:00 (CET)."""
    offset, name = f"{at:%z}", at.tzname() or ""
    known = f"UTC{offset[:3]}:{offset[3:5]}"
    return known if name in ("", "UTC") or not name.isalpha() else f"{known} ({name})"


def _style(line: Line) -> str:
    if ill(line.first):
        return "red"
    return "green" if line.first.kind in WELL else ""
