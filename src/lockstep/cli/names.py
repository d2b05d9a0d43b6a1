"""What a shell offers when somebody presses Tab: the names that the pipeline gives its mappings and targets.

Nothing may be printed meanwhile but the names, and whatever goes wrong offers none.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lockstep.declaration.pipeline import Pipeline


def mappings(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of mappings that begin so, and are not typed yet."""
    with _quietly(), contextlib.suppress(Exception):
        typed = ctx.params.get(parameter.name or "") or ()
        return [name for name in _pipeline(ctx).mappings if name.startswith(incomplete) and name not in typed]
    return []


def targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of mappings and targets that begin so."""
    with _quietly(), contextlib.suppress(Exception):
        pipeline = _pipeline(ctx)
        return [name for name in (*pipeline.mappings, *pipeline.targets()) if name.startswith(incomplete)]
    return []


def _pipeline(ctx: click.Context) -> Pipeline:
    from lockstep.declaration.pipeline_file import load

    return load(ctx.find_root().params.get("pipeline") or Path("pipeline.py"))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
