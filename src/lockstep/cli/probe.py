"""lockstep probe"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockstep.cli import output
from lockstep.cli.verb import print_json, settings, verb
from lockstep.errors import LockstepError, UsageError

if TYPE_CHECKING:
    from lockstep.systems.zuora.probe.probed import Recorded
    from lockstep.systems.zuora.probe.recorded_files import Probes


@verb(
    name="probe",
    example="""
    export ZUORA_URL=… ZUORA_CLIENT_ID=… ZUORA_CLIENT_SECRET=…
    lockstep probe zuora --account A00000042 -- ./change-plan.sh
    lockstep probe start --account A00000042      # then do it in Zuora's own UI
    lockstep probe stop --account A00000042
    """,
    answer="""
    {"account", "recorded": FILE, "command_exit": null without a command,
     "counts": {"copied, cut short": N},
     "changes": [{"kind", "id", "parent", "label", "what",
        "copied_from": id or null, "fields": {NAME: [before, after]}}]}
    probe start: {"account", "records", "recorded": FILE}
    """,
)
@click.argument("what", type=click.Choice(["zuora", "start", "stop"]))
@click.argument("command_line", metavar="[-- COMMAND…]", nargs=-1, type=click.UNPROCESSED)
@click.option("--account", metavar="NUMBER", required=True, help="The account that is looked at.")
@click.option(
    "--records",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("probes"),
    show_default=True,
    help="Where the recorded trees are kept.",
)
def command(what: str, command_line: tuple[str, ...], account: str, records: Path) -> None:
    """Show which records a change of a Zuora account makes, copies, cuts short or removes.

    Records the account's tree (subscriptions in all versions, rate plans, segments, tiers, orders, invoices,
    payments) before and after: around COMMAND, or from `probe start` to `probe stop`. It only reads; the
    change is yours to make. Whatever else happens to the account meanwhile is shown, too.
    """
    if (what == "zuora") != bool(command_line):
        raise UsageError(
            "nothing to probe" if what == "zuora" else f"`probe {what}` takes no command",
            "lockstep probe zuora --account A -- COMMAND; or probe start, do it, and probe stop.",
        )
    from lockstep.systems.zuora.probe.recorded_files import Probes

    probes = Probes(records, account)
    if what == "stop":
        _tell(probes, None)
        return
    probes.refuse_second()
    tree = _read(account)
    file = probes.begin(tree)
    if what == "zuora":
        _tell(probes, _carry_out(command_line, probes))
    elif settings().json:
        print_json({"account": account, "records": len(tree), "recorded": str(file)})
    else:
        output.say(
            f"{output.count(len(tree), 'record')} of {account} are kept in {file}. "
            f"Do it now, then: lockstep probe stop --account {account}"
        )


def _tell(probes: Probes, ended: int | None) -> None:
    """What befell since the probe was begun; `ended`: the exit code of the command, if there was one."""
    from lockstep.cli.probe_drawing import drawn
    from lockstep.systems.zuora.probe.probed import changes, counted

    before = probes.begun()
    after = _read(probes.account)
    found = changes(before, after)
    file = probes.finish(before, after, found)
    if settings().json:
        said = {"account": probes.account, "recorded": str(file), "command_exit": ended}
        print_json({**said, "counts": counted(found), "changes": found})
    else:
        for line in drawn(found, before, after):
            output.line(line)
        output.say(f"Both trees are in {file}.")
    probes.over()
    if ended:
        raise LockstepError(
            f"the command ended with {ended}",
            "What is shown is what was there once it had ended. See what the command says above.",
        )


def _read(account: str) -> list[Recorded]:
    from lockstep.systems.zuora.probe.recording import recorded
    from lockstep.systems.zuora.system import Zuora

    client = Zuora.from_env().connect()
    try:
        with output.waiting(f"Reading {account}…"):
            return recorded(client, account)
    finally:
        client.close()


def _carry_out(command_line: tuple[str, ...], probes: Probes) -> int:
    """Its exit code. What it prints goes to standard error: standard output is for what befell."""
    try:
        return subprocess.run(command_line, stdout=2, check=False).returncode
    except OSError as error:
        probes.over()
        raise UsageError(
            f"{command_line[0]} cannot be started: {error.strerror}",
            "Name a program; for a line of the shell: -- sh -c '…'. Nothing was done.",
        ) from error
