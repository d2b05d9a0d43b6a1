"""What every verb prints with: to people in sentences and tables, to machines as JSON.

Results go to standard output, everything else to standard error. A terminal gets colours and lines that fit
it; a file or a pipe gets neither, so that `grep` finds whole lines.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from lockstep.cli.visible import visible
from lockstep.exploration.system import redacted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

__all__ = ["ago", "clock", "console", "count", "error", "grid", "number", "redacted", "say", "span", "value"]


def console(*, stderr: bool = False, markup: bool = False) -> Console:
    """A console of rich. Away from a terminal it never wraps. `markup` is for texts without data in them."""
    from rich.console import Console
    from rich.segment import Segment

    class Piped(Console):
        def on_broken_pipe(self) -> None:  # rich would exit with 1, which means something here
            raise BrokenPipeError

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for part in super().render(renderable, options):
                yield part if part.control else Segment(visible(part.text), part.style)

    found = Piped(stderr=stderr, highlight=False, emoji=False, markup=markup)
    if not found.is_terminal:
        found.width = 10_000
    return found


def say(text: str = "") -> None:
    """A line to people who wait: standard error."""
    click.echo(visible(redacted(text)), err=True)


def line(text: str) -> None:
    """A line of a result that needs no drawing: standard output."""
    click.echo(visible(redacted(text)))


def error(problem: str, remedy: str) -> None:
    """What is wrong, then what to do."""
    out = console(stderr=True)
    out.print("Error: ", style="bold red", end="")
    out.print(redacted(problem))
    if remedy:
        out.print(redacted(remedy))


def grid(*columns: str | dict[str, Any], header: bool = True) -> Table:
    """A table without lines: columns by name, or as {"header": …, "justify": …}."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=header, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(**({"header": column} if isinstance(column, str) else column), no_wrap=True)
    return table


def show(renderable: RenderableType) -> None:
    """Prints a renderable to standard output; away from a terminal without blanks at the ends of lines."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def number(value: float) -> str:
    """1,204."""
    return f"{value:,.0f}"


def count(value: int, noun: str, plural: str = "") -> str:
    """1 key, 2 keys."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def redriven(hinted: int | None, derived: int) -> str:
    """What became of keys after a saved state was back: those `hinted` as written or removed since (None:
    all), and all that were `derived`, among them those of changes that waited to be worked."""
    if hinted is None:
        return f"all keys: {derived:,} derived and compared"
    if derived <= hinted:
        return f"{count(hinted, 'key')}, for what changed since"
    waited = count(derived - hinted, "key")
    if not hinted:
        return f"nothing was written since; {waited} of changes that waited"
    return f"{count(hinted, 'key')}, for what changed since, and {waited} of changes that waited"


def span(seconds: float | None) -> str:
    """A duration: 12 ms, 3.2 s, 4 min, 2 h 10 min, 3 d 4 h; a dash for none."""
    if seconds is None:
        return "–"
    if 0 < seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if isinstance(seconds, float) and seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 10 and whole % 60:
        return f"{minutes} min {whole % 60} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"


def size(octets: int) -> str:
    """Bytes as people read them."""
    from rich.filesize import decimal

    return decimal(octets)


def ago(at: float | None) -> str:
    """How long ago, or from now, a time is."""
    if at is None:
        return "never"
    passed = time.time() - at
    if abs(passed) < 1:
        return "now"
    return f"{span(int(passed))} ago" if passed > 0 else f"in {span(int(-passed))}"


def clock(at: float) -> str:
    """A time in the zone of whoever reads it, with its offset: 2026-03-08 14:03:22 +0100."""
    return dt.datetime.fromtimestamp(at, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def value(given: Any, most: int | None = None) -> str:
    """A value of a record on one line, cut where there is no more room. Texts have quotes; exact numbers,
    dates and times have none."""
    from decimal import Decimal

    from lockstep.cli.plain import dumps, plain

    bare = given == "(missing)" or isinstance(given, Decimal | dt.date | dt.time)
    text = str(plain(given)) if bare else dumps(given, one_line=True)
    return text if most is None or len(text) <= most else text[: max(most - 1, 1)] + "…"


def indented(text: str, by: int) -> RenderableType:
    """A text that keeps its distance from the margin on every line."""
    from rich.padding import Padding

    return Padding(_plain_text(text), (0, 0, 0, by), expand=False)


def hanging(text: str, by: int) -> Text:
    """A text whose first line goes on from where the cursor is, `by` columns from the margin."""
    from rich.text import Text

    width = console().width - by
    lines = _plain_text(text).wrap(console(), max(width, 20))
    return Text(("\n" + " " * by).join(line.plain.rstrip() for line in lines))


def carried_out(what: str, running: str | None) -> str:
    """The answer to a request that a run carries out."""
    if running is None:
        return f"Asked for {what}. Nobody runs this pipeline now; the next `lockstep run` does it."
    return f"Asked for {what}. The run of {running} does it."


def _plain_text(text: str) -> Text:
    from rich.text import Text

    return Text(redacted(text))


@contextlib.contextmanager
def waiting(words: str) -> Iterator[None]:
    """Says what is waited for, on a terminal only."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status(words):
        yield


def field(name: str, given: Any, width: int, by: int = 4) -> Text:
    """A field of a record on one line."""
    from rich.text import Text

    label = " " * by + name.ljust(14) + "  "
    return Text.assemble((label, "cyan"), value(given, None if width >= 10_000 else width - len(label)))


def difference(path: str, expected: Any, actual: Any, width: int, action: str = "update") -> Text:
    """A field that differs: what the target holds → what the source means. Long pairs take two lines."""
    from rich.text import Text

    label = " " * 4 + path.ljust(14) + "  "
    if action == "create":
        return field(path, expected, width)
    old, new = value(actual), value(expected)
    if len(label) + len(old) + len(new) + 3 <= width:
        return Text.assemble((label, "cyan"), (old, "red"), " → ", (new, "green"))
    room = None if width >= 10_000 else width - len(label) - 2
    arrow = "\n" + " " * (len(label) - 2) + "→ "
    return Text.assemble(
        (label, "cyan"), (value(actual, room), "red"), arrow, (value(expected, room), "green")
    )
