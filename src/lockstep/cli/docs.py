"""Writes docs/cli.md from the commands: `python -m lockstep.cli.docs > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lockstep.cli import exits
from lockstep.cli.main import SECTIONS, cli
from lockstep.cli.verb import Verb

WORDS = {
    "derive": "run your mapping on what the source holds of a key now: so it is known what the target should "
    "hold",
    "hint": "a note in the *journal* that a key may have changed: it is derived, compared, and what differs "
    "is written",
    "ledger": "what was last written for each key; with the journal it is the *state store*",
    "stuck": "of a key: it could not be derived or written. It is tried again by itself, and stops no other",
    "held": "of a mapping: the guard asks a person before it writes on; its changes wait, and are not lost",
    "stopped": "of a mapping: it cannot go on by itself; the others do",
    "build": "one copy of a target, with a number, its *generation*: the *live* one is what readers see, "
    "another may be *building*, *kept* for the way back, or *scratch* (a rehearsal's)",
    "prove": "check that a target holds what the source means; what differs is a *divergence*",
}
"""For whoever reads the page at night, and has not read another."""


def page() -> str:
    """The page, whole."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    context = click.Context(cli, info_name="lockstep")
    yield "# The command line"
    yield ""
    yield "<!-- Written by `python -m lockstep.cli.docs`; edit the commands instead. -->"
    yield ""
    yield from _words(cli.help)
    yield "Results go to standard output, everything else to standard error. Passwords are never printed."
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for title, commands in SECTIONS.items():
        names = ", ".join(f"[{name}](#lockstep-{name})" for name in commands)
        yield f"| {title} | {names} |"
    yield ""
    yield "## For every command"
    yield ""
    yield "These may stand before or after the command's name."
    yield ""
    yield from _options(cli, context)
    yield "- `--json`: Print JSON. Field names are stable, times (`…_at`) are ISO 8601 in UTC, keys are texts"
    yield "  as they are typed (`7`, `acme|7`), bytes are hex, exact decimals are texts. An error is"
    yield "  an object on standard error: `error`, `problem`, `remedy`, `retriable`, `exit_code`."
    yield ""
    yield "## Words"
    yield ""
    yield "| word | means |"
    yield "| --- | --- |"
    for word, meaning in WORDS.items():
        yield f"| {word} | {meaning} |"
    yield ""
    yield "## Exit codes"
    yield ""
    yield "| code | meaning |"
    yield "| --- | --- |"
    for code, meaning in exits.MEANINGS.items():
        yield f"| {code} | {meaning} |"
    for commands in SECTIONS.values():
        for name in commands:
            yield ""
            yield from _verb(name, context)


def _verb(name: str, parent: click.Context) -> Iterator[str]:
    command = cli.get_command(parent, name)
    assert isinstance(command, Verb)
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    yield f"## lockstep {name}"
    yield ""
    yield from _block(f"lockstep {name} {usage}".rstrip(), "")
    yield ""
    yield from _words(command.help)
    yield from _options(command, context)
    yield "Example:"
    yield ""
    yield from _block(command.example, "sh")
    yield ""
    yield "With `--json`:"
    yield ""
    yield from _block(command.answer, "")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        and not {"--help", "--json", "--version"}.intersection(parameter.opts)
    ]
    said = [record for record in records if record is not None]
    for flags, words in said:
        yield f"- `{flags}`: {words}"
    if said and command is not cli:
        yield ""


def _words(text: str | None) -> Iterator[str]:
    """A command's help, each paragraph on one line."""
    for paragraph in (text or "").split("\n\n"):
        yield " ".join(paragraph.split())
        yield ""


def _block(text: str, language: str) -> Iterator[str]:
    yield f"```{language}"
    yield text
    yield "```"


if __name__ == "__main__":
    click.echo(page(), nl=False)
