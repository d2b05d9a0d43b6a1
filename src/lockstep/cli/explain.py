"""lockstep explain"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lockstep.cli import names, output
from lockstep.cli.verb import print_json, settings, verb
from lockstep.cli.visible import key_name

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.operations.explain import Explanation, TargetRecord


@verb(
    name="explain",
    example="""
    lockstep explain users 42
    lockstep explain seats 'acme|7'  # a key of two columns
    """,
    answer="""
    {"mapping", "key", "verdict", "source", "error",
     "records": [{"key", "derived", "held", "equal", "written_as",
                  "fields": [{"path", "expected", "actual"}]}],
     "ledger": {"void", "owns", "sum", "epoch", "batch", "due",
                "last_write": {"reason", "position", "at"}},
     "stuck": {"mapping", "key", "stage", "error", "remedy", "claim",
               "attempts", "first_at", "last_at", "retry_at"},
     "history": [{"happened_at", "what", "text", "position"}]}
    what: hint, write, stuck, backfill, check, closed, accepted or event.
    Where there is none, source, error, ledger and stuck are null.
    """,
)
@click.argument("mapping", shell_complete=names.mappings)
@click.argument("key")
def command(mapping: str, key: str) -> None:
    """Show everything that is known about one key: in the source, the target and the ledger, and its history.

    The history has the hints that the journal still keeps, the last write, passes over all keys, and what
    checks found. Nothing is written.
    """
    from lockstep.operations.explain import explain

    found = explain(settings().load(), mapping, key)
    if settings().json:
        from lockstep.cli.plain import plain

        print_json({**plain(found), "ledger": _with_times(found.ledger)})
        return
    out = output.console()
    out.print(f"{found.mapping} {key_name(found.key)}", style="bold")
    out.print(found.verdict)
    if found.error is not None:
        out.print(output.indented(found.error, 2), style="red")
    _heading(out, "source")
    if found.source is None:
        out.print("  It has no such record.")
    else:
        _tree(out, found.source, 2)
    for record in found.records:
        _record(out, record)
    _ledger(out, found)
    if found.stuck is not None:
        _heading(out, "stuck")
        out.print(f"  {found.stuck.stage} failed, {output.count(found.stuck.attempts, 'attempt')}; ", end="")
        out.print(f"the first {output.ago(found.stuck.first_at)}, the last {output.ago(found.stuck.last_at)}")
        if found.stuck.error != found.error:
            out.print(output.indented(found.stuck.error, 2), style="red")
        if found.stuck.remedy:
            out.print(output.indented(found.stuck.remedy, 2))
    _history(out, found)


def _history(out: Console, found: Explanation) -> None:
    _heading(out, "history")
    if not found.history:
        out.print("  Nothing is recorded of it.")
    for event in found.history:
        at = f"  at {event.position}" if event.position else ""
        out.print(output.indented(f"{output.clock(event.happened_at)}  {event.what:<8}  {event.text}{at}", 2))


def _heading(out: Console, words: str) -> None:
    out.print()
    out.print(words, style="bold")


def _record(out: Console, record: TargetRecord) -> None:
    _heading(out, f"target {key_name(record.key)}")
    if record.equal and record.held is not None:
        out.print("  As derived:")
        _tree(out, record.held, 2)
    elif record.held is None:
        out.print("  It has no such record. Derived:" if record.derived else "  It has no such record.")
        _tree(out, record.derived or {}, 2)
    elif record.derived is None:
        out.print("  It holds a record that the source does not mean:")
        _tree(out, record.held, 2)
    else:
        out.print("  It differs (held → derived):")
        for field in record.fields:
            out.print(output.difference(field.path, field.expected, field.actual, out.width))
        if not record.fields:
            out.print("    only in what Lockstep keeps beside the record")
    if record.written_as is not None:
        out.print(f"  Written as {record.written_as}.", style="dim")


def _ledger(out: Console, found: Explanation) -> None:
    _heading(out, "ledger")
    row = found.ledger
    if row is None:
        out.print("  It knows nothing of this key.")
        return
    if row["void"]:
        out.print("  The target's state is not known; a run finds out.")
    out.print(f"  owns        {', '.join(row['owns']) or 'no record'}")
    last = row["last_write"]
    if last is not None:
        at = f", {output.clock(last['at'])} ({output.ago(last['at'])})" if last["at"] else ""
        out.print(f"  last write  {last['reason']}{at}")
    out.print(f"  version     epoch {row['epoch']}, batch {row['batch']}")
    if row["due"] is not None:
        out.print(f"  due         {output.clock(row['due'])}: the mapping asked about this date")


def _with_times(ledger: dict[str, Any] | None) -> dict[str, Any] | None:
    """The ledger's row with its times as texts, as everywhere else."""
    from lockstep.cli.plain import moment

    if ledger is None:
        return None
    last = ledger["last_write"]
    if last is not None:
        last = {**last, "at": moment(last["at"] or None)}
    return {**ledger, "last_write": last, "due": moment(ledger["due"])}


def _tree(out: Console, tree: dict[str, Any], by: int) -> None:
    """A record as an indented tree; short lists on one line."""
    for name, item in tree.items():
        if isinstance(item, dict) and item:
            out.print(" " * (by + 2) + name, style="cyan")
            _tree(out, item, by + 2)
        elif isinstance(item, list) and any(isinstance(one, dict) for one in item):
            out.print(" " * (by + 2) + f"{name} ({len(item):,})", style="cyan")
            for one in item[:20]:
                text = "- " + output.value(one, None if out.width >= 10_000 else out.width - by - 6)
                out.print(" " * (by + 4) + text)
            if len(item) > 20:
                out.print(" " * (by + 4) + f"… {len(item) - 20:,} more")
        else:
            out.print(output.field(name, item, out.width, by + 2))
