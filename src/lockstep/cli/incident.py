"""A timeline as Markdown: what an incident report begins with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lockstep.cli import output, story
from lockstep.operations.folding import folded

if TYPE_CHECKING:
    from lockstep.operations.history import History


def page(found: History) -> str:
    """The page, whole."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: History) -> Iterator[str]:
    of = f" of {_cell(found.mapping)}" if found.mapping else ""
    yield f"# What happened{of}"
    yield ""
    yield f"From {output.clock(found.since_at)} to {output.clock(found.until_at)}, as Lockstep recorded it."
    yield ""
    yield "## Summary"
    yield ""
    outline = story.outline(found.summary)
    if outline:
        yield "| | |"
        yield "| --- | --- |"
        for word, value in outline:
            yield f"| {word} | {_cell(value)} |"
    else:
        yield "No sign that anything was wrong was recorded."
    yield ""
    yield "## In order"
    yield ""
    lines = folded(found.happenings)
    if lines:
        yield "| when | what | of | |"
        yield "| --- | --- | --- | --- |"
    else:
        yield "Nothing is recorded of that time."
    for line in lines:
        first = line.first
        subject = _cell(output.redacted(first.subject))
        yield f"| {output.clock(first.happened_at)} | {first.kind} | {subject} | {_cell(story.said(line))} |"
    for note in found.notes:
        yield ""
        yield f"Note: {note}."


def _cell(text: str | None) -> str:
    """A text that can be nothing but the words of a cell."""
    plain = " ".join((text or "").split())
    for sign in "\\`*_[]<>|#":
        plain = plain.replace(sign, "\\" + sign)
    return plain
