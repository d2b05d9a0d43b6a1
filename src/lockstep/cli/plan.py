"""lockstep plan"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.verb import LIMIT, print_json, settings, verb
from lockstep.cli.visible import key_name

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.operations.plan import Planned
    from lockstep.ports.steps import Steps

_SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "fail": ("!", "bold red"),
}


@verb(
    name="plan",
    example="""
    lockstep plan users
    lockstep plan users 42 43
    """,
    answer="""
    {"mapping", "counts": {"create", "update", "delete", "fail"}, "shown": 1,
     "writes": [{"action", "key", "target_key", "reason",
                 "fields": [{"path", "expected", "actual"}],
                 "steps": {"steps", "problem",
                           "sides": [{"name", "held", "wanted"}]},
                 "preview": [LINE]}]}
    expected: what the source means; actual: what the target holds.
    steps: what the write would do, where the target says it (Zuora): order
    actions, and timelines as spans (start, end, value). preview: of named
    keys, what would follow, where the target says it: the next invoice.
    """,
)
@click.argument("mapping", shell_complete=names.mappings)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option(
    "--limit", metavar="N", type=LIMIT, default=50, show_default=True, help="Show at most so many; count all."
)
def command(mapping: str, keys: tuple[str, ...], limit: int) -> None:
    """Show what would be written, field by field. Writes nothing.

    Reads all keys of MAPPING, or those that you name, on both sides, as they are right now. For keys that you
    name, a billing system is also asked what the next invoice would be.
    """
    from lockstep.operations.plan import plan

    pipeline = settings().load()
    counts: Counter[str] = Counter(dict.fromkeys(_SIGNS, 0))
    shown: list[Planned] = []
    out = output.console()
    with output.waiting("Comparing both sides…"):
        for one in plan(pipeline, mapping, keys):
            counts[one.action] += 1
            if counts.total() <= limit:
                if settings().json:
                    shown.append(one)
                else:
                    _print(out, one)
    if settings().json:
        print_json({"mapping": mapping, "counts": counts, "shown": len(shown), "writes": shown})
        return
    out.print(_summary(mapping, counts, limit))


def _print(out: Console, one: Planned) -> None:
    from rich.text import Text

    sign, style = _SIGNS[one.action]
    target = "" if one.target_key in (None, one.key) else f" → {key_name(one.target_key)}"
    out.print(Text.assemble((f"{sign} {one.action} ", style), (key_name(one.key) + target, "bold")))
    if one.reason:
        out.print(output.indented(one.reason, 4))
    if one.steps is not None:
        _print_steps(out, one.steps)
    for line in one.preview:
        out.print(output.indented(line, 4))
    for field in one.fields if one.steps is None else ():
        out.print(output.difference(field.path, field.expected, field.actual, out.width, one.action))
    out.print()


def _print_steps(out: Console, steps: Steps) -> None:
    """The timelines as they are and as they would be, and what leads from the one to the other."""
    from lockstep.cli.side_by_side import side_by_side
    from lockstep.effective import Timeline

    for sides in steps.sides:
        out.print(output.indented(sides.name, 4))
        for line in side_by_side(Timeline(sides.held), Timeline(sides.wanted), width=max(out.width - 4, 40)):
            out.print("    " + line, markup=False, highlight=False)
    for step in (*steps.steps, *([steps.problem] if steps.problem else [])):
        out.print(output.indented(step, 4))


def _summary(mapping: str, counts: Counter[str], limit: int) -> str:
    total = counts.total()
    if not total:
        return f"Nothing to write: the target holds what {mapping} means, for every key that was read."
    said = [
        output.count(counts[action], noun)
        for action, noun in (("create", "create"), ("update", "update"), ("delete", "delete"))
        if counts[action]
    ]
    if counts["fail"]:
        said.append(f"{output.count(counts['fail'], 'key')} that cannot be derived")
    more = f" The first {limit:,} are shown." if total > limit else ""
    return f"{', '.join(said)}.{more} Nothing was written."
