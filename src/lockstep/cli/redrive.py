"""lockstep redrive"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockstep.cli import names, output
from lockstep.cli.duration import Moment
from lockstep.cli.verb import print_json, settings, verb

if TYPE_CHECKING:
    from lockstep.operations.redrive import Redriven


class _Place(click.ParamType["float | str"]):
    """A moment, or else a position of the source's log, or an offset of the journal."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        try:
            return Moment().convert(value, param, ctx)
        except click.BadParameter:
            return str(value).strip()


@verb(
    name="redrive",
    example="""
    lockstep redrive --since 2h
    lockstep redrive --since 22:00 --until 23:30 --mapping users
    lockstep redrive --since 0/16B3748 --dry-run
    lockstep redrive --mapping users --keys-from keys.txt
    """,
    answer="""
    {"redriven": [{"mapping", "hints", "keys", "related", "whole", "running"}],
     "dry_run"}
    running: who will do it; null when the next run will. whole: all keys, as a
    table was emptied or a pass was among it. related: rows of other tables,
    whose roots are looked for.
    """,
)
@click.option(
    "--since",
    metavar="TIME",
    type=_Place(),
    help="Since then: 2h (ago), 22:00, a position that `lockstep status` shows, or offset:N of the journal.",
)
@click.option("--until", metavar="TIME", type=_Place(), help="Up to then.  [default: now]")
@click.option(
    "--mapping",
    metavar="MAPPING",
    help="Of this mapping only.  [default: of all]",
    shell_complete=names.mappings,
)
@click.option(
    "--keys-from",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="These keys instead, one a line; - reads them from standard input.",
)
@click.option("--dry-run", is_flag=True, help="Say how many keys it would be. Leave no request.")
def command(
    since: float | str | None,
    until: float | str | None,
    mapping: str | None,
    keys_from: Path | None,
    dry_run: bool,
) -> None:
    """Derive again what changed since a moment: each key once, compared with what the target holds.

    For a target that lost or spoilt what was written to it since. Leaves a request, which the current run or
    the next one carries out. Changes are known as far back as the journal keeps them (a day, by default); an
    earlier moment is refused. What is equal is not written.
    """
    from lockstep.operations.redrive import redrive
    from lockstep.operations.redrive_keys import redrive_keys

    if (since is None) == (keys_from is None):
        said = "Say since when (--since 2h) or which keys (--keys-from FILE)"
        raise click.UsageError(f"{said}, not both." if since is not None else f"{said}.")
    pipeline = settings().load()
    if keys_from is not None:
        if mapping is None:
            raise click.UsageError("Keys are of one mapping: name it with --mapping.")
        with click.open_file(str(keys_from), encoding="utf-8-sig") as lines:
            found: tuple[Redriven, ...] = (redrive_keys(pipeline, mapping, lines, dry_run=dry_run),)
    else:
        assert since is not None
        with output.waiting("reading the journal"):
            found = redrive(pipeline, since=since, until=until, mapping=mapping, dry_run=dry_run)
    if settings().json:
        print_json({"redriven": found, "dry_run": dry_run})
        return
    out = output.console()
    for one in found:
        said = "all keys" if one.whole else output.count(one.keys, "key")
        also = f" and {output.count(one.related, 'related row')}" if one.related and not one.whole else ""
        what = f"{said}{also} of {one.mapping}, from {output.count(one.hints, 'hint')}"
        if not one.hints:
            out.print(
                f"Nothing was hinted to {one.mapping} in that window, so there is nothing to hint again."
            )
            continue
        out.print(f"Would be hinted again: {what}." if dry_run else output.carried_out(what, one.running))
