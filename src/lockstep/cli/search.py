"""lockstep search"""

from __future__ import annotations

from typing import Any

import click

from lockstep.cli import names, output
from lockstep.cli.verb import print_json, settings, verb
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import DeclarationError
from lockstep.ports import Target


@verb(
    name="search",
    example="""
    lockstep search users ada
    lockstep search users 'name:ada OR tags:vip' --limit 3
    """,
    answer="""
    {"target", "query", "hits": [{"score", "key", "record"}]}
    """,
)
@click.argument("target", metavar="TARGET|MAPPING", shell_complete=names.targets)
@click.argument("query")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="At most so many hits.",
)
def command(target: str, query: str, limit: int) -> None:
    """Search an embedded index: a target by its name, or the target of a mapping."""
    pipeline = settings().load()
    found = _target(pipeline, target)
    search: Any = getattr(found, "search", None)
    if search is None:
        raise DeclarationError(
            f"{found.name} cannot be searched from here",
            "Only embedded indexes can: ls.Tantivy(…). Ask the target itself.",
        )
    hits = [{"score": score, "key": key, "record": record} for score, key, record in search(query, limit)]
    if settings().json:
        print_json({"target": found.name, "query": query, "hits": hits})
        return
    out = output.console()
    if not hits:
        out.print(f"Nothing in {found.name} matches {query!r}.")
    for hit in hits:
        out.print(f"{hit['key']}", style="bold", end="")
        out.print(f"  (score {hit['score']:.2f})", style="dim")
        for name, value in hit["record"].items():
            out.print(output.field(name, value, out.width))


def _target(pipeline: Pipeline, name: str) -> Target:
    if name in pipeline.mappings:
        return pipeline.mappings[name].target
    for target in pipeline.targets().values():
        if name in (target.name, target.name.rpartition("/")[2]):
            return target
    raise DeclarationError(
        f"there is no target or mapping {name!r} in pipeline {pipeline.name}",
        f"There are: {', '.join([*pipeline.mappings, *pipeline.targets()])}.",
    )
