"""`lockstep`: finds the verb, runs it, and says what went wrong. A verb is imported when it is asked for."""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from lockstep.cli import exits
from lockstep.cli.verb import PLACE, Settings
from lockstep.errors import LockstepError
from lockstep.place import Place

SECTIONS: dict[str, dict[str, str]] = {
    "Begin": {
        "explore": "Write models.py from the tables of a database.",
        "check": "Say what would go wrong, before anything runs.",
        "demo": "See Lockstep keep two systems in agreement, without any setup.",
    },
    "Run": {
        "run": "Keep the targets in agreement with their sources.",
        "status": "Show what runs, how far it is behind, and what is stuck.",
        "adopt": "Take over a target that already holds records.",
        "move-readers": "Point readers to what adopt took over.",
        "holds": "Show what the guard holds back until a person has decided.",
        "approve": "Allow what is held: so much of it, for so long.",
        "reject": "Say that what is held must not happen.",
        "backfill": "Have all keys of a mapping, or some, derived again.",
    },
    "Look": {
        "plan": "Show what would be written, field by field. Writes nothing.",
        "timeline": "Tell what happened, in order: who did it, and why.",
        "explain": "Show everything that is known about one key.",
        "search": "Search an embedded index.",
    },
    "Prove and mend": {
        "verify": "Compare source and target: are they the same?",
        "reports": "List what checks found.",
        "report": "Show one report: what it found, and what became of it.",
        "repair": "Repair what checks found, key by key.",
        "accept": "Let a divergence be, by name and with a reason.",
        "stuck": "Show the keys that failed, and why.",
        "retry": "Try keys that failed again now.",
    },
    "Recover and deploy": {
        "snapshot": "Save the state of a target, so that it can be restored.",
        "snapshots": "List the saved states, and which were proven.",
        "restore": "Bring a target back, with everything that changed since.",
        "drill": "Rehearse a restore, and measure it.",
        "redrive": "Derive again what changed since a moment.",
        "deploy": "Build a target beside the live one, prove it, and swap.",
        "rollback": "Go back to the build that a deploy replaced.",
        "retire": "Remove the build that is kept for a rollback.",
    },
    "Guard": {
        "guard": "Judge a plan of Terraform, or of a healer, before it runs.",
    },
    "Other": {
        "probe": "Show what a change of a Zuora account does to its records.",
        "twin": "Start a local stand-in for Zuora, to test against.",
        "completion": "Print the completion script of a shell.",
    },
}


class Verbs(click.Group):
    """The verbs, by file name. `--help` is printed from the table above and imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"lockstep.cli.{cmd_name.replace('-', '_')}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = f"Did you mean {near[0]}?" if near else "See lockstep --help."
            raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(len(name) for commands in SECTIONS.values() for name in commands)
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), summary) for name, summary in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in exits.MEANINGS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_AS_JSON] = "--json" in args  # what is typed wrongly may keep the flag from being parsed
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _misused(ctx, error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LockstepError as error:
            _say(ctx, error, str(error), error.remedy)
            ctx.exit(exits.code_of(error))
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(exits.INTERRUPTED)
        except click.UsageError as error:
            _misused(ctx, error)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:  # `lockstep plan … | head`: nobody reads any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(exits.INTERRUPTED)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                self._defect(ctx, error)
            _say(
                ctx,
                error,
                f"no room is left: {error}",
                "Make room, then ask again; what was done stays done.",
            )
            ctx.exit(exits.FAILED)
        except Exception as error:
            self._defect(ctx, error)

    def _defect(self, ctx: click.Context, error: Exception) -> NoReturn:
        import traceback

        traceback.print_exc()
        message = f"a defect of Lockstep: {type(error).__name__}: {error}"
        _say(ctx, error, message, "Please report it, with the lines above.")
        ctx.exit(exits.FAILED)


_AS_JSON = "lockstep.json"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def _misused(ctx: click.Context, error: click.UsageError) -> NoReturn:
    """Wrong usage: click's own words, or with --json an object like any other error's."""
    if not ctx.meta[_AS_JSON] or isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    at = error.ctx or ctx
    said = {
        "error": "UsageError",
        "problem": error.format_message(),
        "remedy": f"Try '{at.command_path} --help'.",
        "retriable": False,
        "exit_code": exits.WRONG,
    }
    click.echo(json.dumps(said, ensure_ascii=False), err=True)
    ctx.exit(exits.WRONG)


def _say(ctx: click.Context, error: Exception, problem: str, remedy: str) -> None:
    """What is wrong, then what to do; with --json as an object, on standard error too."""
    from lockstep.cli import output

    if isinstance(ctx.obj, Settings) and ctx.obj.json:
        said = {
            "error": type(error).__name__.rstrip("_"),
            "problem": output.redacted(problem),
            "remedy": output.redacted(remedy),
            "retriable": getattr(error, "retriable", False),
            "exit_code": exits.code_of(error),
        }
        click.echo(json.dumps(said, ensure_ascii=False), err=True)
    else:
        output.error(problem, remedy)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--pipeline",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("pipeline.py"),
    envvar="LOCKSTEP_PIPELINE",
    show_default=True,
    show_envvar=True,
    help="The file that declares the pipeline.",
)
@click.option(
    "--state",
    metavar="DIR|URL",
    type=PLACE,
    envvar="LOCKSTEP_STATE",
    show_envvar=True,
    help="Where journal and ledger live: a directory, or postgresql://…  "
    "[default: .lockstep beside the pipeline]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(package_name="lockstep-sync", prog_name="lockstep", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, pipeline: Path, state: Place | None, as_json: bool) -> None:
    """Keeps two systems in agreement, proves that they agree, and brings one back when it is lost.

    Is something wrong? `lockstep status` says what, and what to do about it; `lockstep timeline` tells how it
    came about. Neither changes anything. Every command has --help with an example, and --json.
    """
    ctx.obj = Settings(pipeline, state, as_json)


def main() -> NoReturn:
    """The `lockstep` script."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal without the sign shows "?", and nothing fails
            reconfigure(errors="replace")
    try:
        cli.main(prog_name="lockstep")
        sys.exit(exits.DONE)
    finally:
        gc.freeze()  # the process ends: Python would look through all modules for garbage, a fifth of a check


if __name__ == "__main__":
    main()
