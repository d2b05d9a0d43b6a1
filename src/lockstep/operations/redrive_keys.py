"""redrive of a list: keys as a person, or another system, has written them down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from lockstep.database import Access
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.errors import DataError, DeclarationError
from lockstep.journal.window import Gathered
from lockstep.operations.hinted_again import NEIGHBOURS, append, batches, entries_of
from lockstep.operations.opened import consumer_of, existing, keys_or_errors
from lockstep.operations.redrive import Redriven
from lockstep.values import Key

_SHOWN = 10
"""Lines of a list that are named where they are no keys."""


def redrive_keys(
    pipeline: Pipeline, mapping: str, typed: Iterable[str], *, dry_run: bool = False
) -> Redriven:
    """Hints these keys of a mapping's root again, one a line as a person types them, each once.

    Raises DeclarationError that names the lines which are no keys; nothing is hinted then.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = consumer_of(store, mapping, declared.target.name)
        with contextlib.closing(Gathered()) as found:
            for lines in batches(_numbered(typed), NEIGHBOURS):
                found.hints += len(lines)
                found.keys.update(_keys_of(declared, lines))
            total = found.keys.count()
            if not dry_run:
                append(store, declared, consumer, entries_of(consumer, found), total, "of a list")
            return Redriven(mapping, found.hints, total, 0, False, store.lock.holder())


def _keys_of(mapping: Mapping, lines: list[tuple[int, str]]) -> list[Key]:
    found: list[Key] = []
    wrong: list[tuple[int, DataError]] = []
    read = keys_or_errors(mapping, [line for _, line in lines])
    for (number, _), one in zip(lines, read, strict=True):
        if isinstance(one, DataError):
            wrong.append((number, one))
        else:
            found.append(one)
    if wrong:
        named = "; ".join(f"line {number}: {error}" for number, error in wrong[:_SHOWN])
        more = f"; and {len(wrong) - _SHOWN:,} more of lines {lines[0][0]} to {lines[-1][0]}"
        raise DeclarationError(
            f"nothing is hinted again, as the list has what is no key: {named}"
            + (more if len(wrong) > _SHOWN else ""),
            wrong[0][1].remedy,
        )
    return found


def _numbered(typed: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    number, lines = 0, iter(typed)
    while True:
        number += 1
        try:
            line = next(lines, None)
        except UnicodeDecodeError as error:
            raise DeclarationError(
                f"the list is no text from about line {number} on: {error}",
                "Give one key a line, in UTF-8, as `lockstep explain` takes them.",
            ) from error
        if line is None:
            return
        text = line.rstrip("\r\n")
        if text.strip():
            yield number, text
