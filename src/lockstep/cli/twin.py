"""lockstep twin"""

from __future__ import annotations

from pathlib import Path

import click

from lockstep.cli import output
from lockstep.cli.stopping import stop_on_signals
from lockstep.cli.verb import print_json, settings, verb
from lockstep.errors import DeclarationError, Refused


@verb(
    name="twin",
    example="""
    lockstep twin zuora
    lockstep twin zuora --port 8099 --file tenant.db
    """,
    answer="""
    {"vendor", "url", "client_id", "client_secret", "file": null in memory,
     "person": {"client_id", "client_secret"}: who changes things "in the UI"}
    One line, once it answers; then it runs until it is stopped.
    """,
)
@click.argument("vendor", type=click.Choice(["zuora"]))
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65_535),
    default=0,
    help="On this port.  [default: a free one]",
)
@click.option(
    "--file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the tenant in this file; a later start goes on with it.  [default: in memory]",
)
def command(vendor: str, port: int, file: Path | None) -> None:
    """Start a local stand-in for Zuora, to test against.

    A real server for tests and demos, on 127.0.0.1. It was never compared with a real tenant: what it has,
    what it lacks and what judged it is in its README. PUT /twin/clock, /twin/settings and /twin/faults set
    its time, the tenant's settings, and faults on request.
    """
    try:
        from lockstep.twins.zuora.server import ZuoraTwin
        from lockstep.twins.zuora.tenant import Tenant
    except ModuleNotFoundError as error:
        raise DeclarationError(
            f"the stand-in needs the package {error.name}", "Install it: pip install 'lockstep-sync[twins]'."
        ) from error
    with stop_on_signals(say=False) as stop:
        try:
            twin = ZuoraTwin(Tenant(file), port=port)
        except OSError as error:
            raise Refused(
                f"port {port} of 127.0.0.1 cannot be had: {error}", "Say another --port."
            ) from error
        with twin:
            said = {
                "vendor": vendor,
                "url": twin.url,
                "client_id": twin.client_id,
                "client_secret": twin.client_secret,
                "person": {"client_id": twin.person.client_id, "client_secret": twin.person.client_secret},
                "file": None if file is None else str(file),
            }
            if settings().json:
                print_json(said, one_line=True)
            else:
                out = output.console()
                for name in ("url", "client_id", "client_secret"):
                    out.print(f"{name:<14} {said[name]}")
                out.print(f"{'state':<14} {file or 'in memory: it ends with the process'}")
                out.print("Ctrl-C stops it.", style="dim")
            stop.wait()
