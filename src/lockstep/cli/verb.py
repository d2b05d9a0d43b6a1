"""What every verb has in common: where the pipeline is, --json, an example in its help."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockstep.errors import DeclarationError
from lockstep.place import Place, place_of

if TYPE_CHECKING:
    from lockstep.declaration.pipeline import Pipeline


class _PlaceType(click.ParamType[Place]):
    """A directory, or the URL of a database."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        try:
            return place_of(value)
        except DeclarationError as error:
            self.fail(f"{error}. {error.remedy}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return click.Path(file_okay=False).shell_complete(ctx, param, incomplete)


class _From1(click.IntRange):
    """A whole number from 1 on, as the state store holds it; its end is said so that one can read it."""

    def _describe_range(self) -> str:
        return "1 to 2^63-1"


PLACE = _PlaceType()
LIMIT = click.IntRange(0, 1_000_000_000)
WHY = click.option("--why", metavar="TEXT", help="Why you do it: `lockstep timeline` tells it.")
REPORT = _From1(1, 2**63 - 1)


@dataclass
class Settings:
    """What was said for all verbs, before or after the verb's name."""

    pipeline: Path = Path("pipeline.py")
    state: Place | None = None
    json: bool = False

    def load(self) -> Pipeline:
        """The pipeline, imported."""
        from lockstep.declaration.pipeline_file import load

        found = load(self.pipeline)
        if self.state is not None:
            found.state = self.state
        return found

    def place(self) -> Place:
        """Where the state store is, without importing the pipeline where its place is known without.

        A directory beside the pipeline is not enough: it may be of the time before `state=…` was said.
        """
        beside = self.pipeline.resolve().parent / ".lockstep"
        if self.state is not None:
            return self.state
        if not self.pipeline.is_file() and self.pipeline != Path("pipeline.py"):  # somebody named it
            self.load()  # says that it is not there
        if not self.pipeline.is_file() or (beside.exists() and _says_no_state(self.pipeline)):
            return beside
        return self.load().state or beside


def _says_no_state(file: Path) -> bool:
    """Whether the file can be seen to make its pipeline itself, without a state of its own."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return False
    made = [
        node.keywords
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Pipeline"
    ]
    assigned = any(isinstance(node, ast.Attribute) and node.attr == "state" for node in ast.walk(tree))
    return (
        bool(made) and not assigned and not any(one.arg in ("state", None) for all_ in made for one in all_)
    )


def settings() -> Settings:
    """The settings of the command that is being run."""
    found = click.get_current_context().find_root().obj
    assert isinstance(found, Settings)
    return found


class Verb(click.Command):
    """A command whose help has an example and says what --json prints.

    `example`: lines to type. `answer`: the JSON object, or objects, as a sketch.
    """

    def __init__(self, *args: Any, example: str, answer: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.example = textwrap.dedent(example).strip()
        self.answer = textwrap.dedent(answer).strip()
        self.params += [
            _said("json", "--json", is_flag=True, help="Print JSON."),
            _said("pipeline", "--pipeline", type=click.Path(path_type=Path), hidden=True),
            _said("state", "--state", type=PLACE, hidden=True),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """A negative number is a key, never an option: no option looks like one."""
        if "--" in args:
            return super().parse_args(ctx, args)
        valued = {
            flag
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for flag in parameter.opts
        }
        negative = [
            place
            for place, word in enumerate(args)
            if re.match(r"-\d", word) and (place == 0 or args[place - 1] not in valued)
        ]
        if negative:
            named = [word for place, word in enumerate(args) if place not in negative]
            args = [*named, "--", *(args[place] for place in negative)]
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, text in (("Example", self.example), ("With --json", self.answer)):
            with formatter.section(title):
                for line in text.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def verb(*, example: str, answer: str, **more: Any) -> Callable[[Callable[..., Any]], Verb]:
    """Declares a verb."""

    def declare(function: Callable[..., Any]) -> Verb:
        return click.command(cls=Verb, example=example, answer=answer, **more)(function)

    return declare


def _said(name: str, flag: str, **more: Any) -> click.Option:
    """An option that goes into the settings instead of the verb's function."""

    def keep(ctx: click.Context, parameter: click.Parameter, given: Any) -> None:
        if given:
            setattr(ctx.find_root().obj, name, given)

    return click.Option([flag], expose_value=False, callback=keep, **more)


def print_json(answer: Mapping[str, Any] | Any, *, one_line: bool = False) -> None:
    """The answer of a verb under --json."""
    from lockstep.cli.plain import dumps

    click.echo(dumps(answer, one_line=one_line))
