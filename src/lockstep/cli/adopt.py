"""lockstep adopt"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lockstep.cli import names, output
from lockstep.cli.advance import progress_of
from lockstep.cli.beginning import agreed, answered
from lockstep.cli.divergences import keys_of, print_fields
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import settings, verb

if TYPE_CHECKING:
    from lockstep.operations.adopt import Adopted

_SAID = {
    "equal": "as they should be: they get Lockstep's metadata, and are not written again",
    "different": "differ: left until the source changes them (--take different: written)",
    "source-only": "only in the source: the first load writes them",
    "target-only": "only in the target: left",
    "taken": "of another mapping or source key: left",
    "failed": "cannot be derived, or would not be taken",
}


@verb(
    name="adopt",
    example="""
    lockstep adopt users --dry-run
    lockstep adopt users
    lockstep adopt users --take different --yes
    """,
    answer="""
    {"mapping", "target", "outcome", "counts": {KIND: 1}, "source_keys",
     "target_records", "taken_over", "seconds", "readers", "left_out": [NAME],
     "examples": [{"kind", "key", "target_key", "reason",
                   "fields": [{"path", "expected", "actual"}]}]}
    kind: equal, different, source-only, target-only, taken, failed; up to
    20 examples of each but equal. outcome: planned (--dry-run), adopted,
    interrupted (ask again), nothing (no record stands there), absent (no
    table or index does). readers: the index that readers still find, see
    move-readers; null elsewhere. left_out: mappings of the same target that
    have taken over nothing; the next run writes over what stands there.
    """,
)
@click.argument("mapping", shell_complete=names.mappings)
@click.option("--dry-run", is_flag=True, help="Say what stands there, field by field. Change nothing.")
@click.option("--take", type=click.Choice(["different"]), help="Have the next run write what differs.")
@click.option("--yes", is_flag=True, help="Do not ask whether to begin.")
def command(mapping: str, dry_run: bool, take: str | None, yes: bool) -> None:
    """Take over a target that already holds records, without rewriting those that are right.

    Matches them by key with what MAPPING derives: what is equal becomes Lockstep's, what differs is left and
    shown, what no source key means is left alone. No run may go on meanwhile; others may write to both sides.
    An index of a search cluster is taken over beside: readers find the old one until `lockstep move-readers`.
    If it is broken off, ask again: it goes on, and no run writes to the target before it is done.
    """
    from lockstep.operations.adopt import adopt

    pipeline = settings().load()
    target = pipeline.named(mapping).target.name
    if not dry_run and not yes:
        agreed(f"Take over what stands in {target}?")
    with stop_on_signals(say=not settings().json) as stop, progress_of(mapping) as advance:
        done = adopt(
            pipeline,
            mapping,
            dry_run=dry_run,
            take_different=take == "different",
            stop=stop,
            on_progress=advance,
        )
    answered(done, _print)


def _print(done: Adopted) -> None:
    out = output.console()
    if done.outcome == "absent":
        out.print(f"{done.target} is not there: there is nothing to adopt. `lockstep run` makes it.")
        return
    if done.outcome == "nothing":
        out.print(f"{done.target} holds no records: there is nothing to adopt. Start with `lockstep run`.")
        return
    keys = output.count(done.source_keys, "source key")
    records = output.count(done.target_records, "target record")
    out.print(f"{done.mapping}: {keys} with {records} of {done.target}.", style="bold")
    for kind, words in _SAID.items():
        if count := done.counts.get(kind):
            out.print(f"  {count:>11,}  {kind:<11}  {words}")
    for one in done.examples:
        out.print(f"  {one.kind:<11}  {keys_of(one.key, one.target_key)}", style="bold")
        if one.reason:
            out.print(output.indented(one.reason, 4))
        print_fields(out, one.fields, 10)
    if done.outcome == "planned":
        out.print("Nothing was changed.")
    elif done.outcome == "interrupted":
        again = f" Ask again (`lockstep adopt {done.mapping}`): it goes on." if done.taken_over else ""
        out.print(f"Broken off.{again}")
    else:
        out.print(f"{done.target} is taken over. `lockstep run` writes what is missing, and follows.")
    if done.left_out:
        out.print(
            f"{', '.join(done.left_out)} writes there too, and has taken over nothing: the next run writes "
            "what it means over what stands. Adopt it before, where that is to be left.",
            style="yellow",
        )
    if done.readers is not None:
        out.print(
            f"Readers still find {done.readers}, which was only read. When `lockstep verify` shows what you "
            f"expect: `lockstep move-readers {done.mapping}`."
        )
