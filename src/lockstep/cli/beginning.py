"""Work that a person is asked about before it begins, and that may be broken off."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

import click

from lockstep.cli import exits
from lockstep.cli.verb import print_json, settings


class _Done(Protocol):
    @property
    def outcome(self) -> str: ...


Done = TypeVar("Done", bound=_Done)


def agreed(question: str) -> None:
    """Ends the command where a person says no. Raises UsageError where nobody is there to be asked."""
    if settings().json or not sys.stdin.isatty():
        raise click.UsageError("Nobody is here to be asked: give --yes, or --dry-run to look first.")
    click.confirm(question, abort=True, err=True)


def answered(done: Done, shown: Callable[[Done], None]) -> None:
    """Prints what became of it, and ends with the exit code of what was broken off."""
    if settings().json:
        print_json(done)
    else:
        shown(done)
    if done.outcome == "interrupted":
        click.get_current_context().exit(exits.INTERRUPTED)
