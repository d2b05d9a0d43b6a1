"""Every page: its links lead somewhere, and the commands, options, settings and files it names are there."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import click
import pytest
from tests.docs.console import blocks

from lockstep.cli.main import cli

ROOT = Path(__file__).parents[2]
_WHERE = ("*.md", "docs/*.md", "examples/*/*.md", "bench/*.md", "src/**/*.md", "tests/**/*.md")
_OTHERS = ("CHANGELOG.md", "LICENSE.md")
PAGES = [
    path.relative_to(ROOT).as_posix()
    for where in _WHERE
    for path in sorted(ROOT.glob(where))
    if path.name not in _OTHERS
]
CODE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
OUTER = {"--pipeline", "--state", "--json", "--help", "--version"}
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@functools.cache
def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def prose(name: str) -> str:
    return _FENCE.sub("", text(name))


def code(name: str) -> list[str]:
    """What a page shows as code: lines of its blocks (continued ones joined), and of its backticks."""
    lines = [
        line
        for block in blocks(text(name))
        if block.language not in ("python", "diff")
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    return lines + [found.replace("\n", " ") for found in re.findall(r"`([^`]+)`", prose(name))]


def anchors(path: Path) -> set[str]:
    """The anchors of its headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def verb(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words begin with, and the words behind its name."""
    found: click.Command = cli
    while words and isinstance(found, click.Group):
        inner = found.get_command(click.Context(found), words[0])
        if inner is None:
            break
        found, words = inner, words[1:]
    return found, words


def options(command: click.Command) -> set[str]:
    return OUTER | {
        name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
    }


@functools.cache
def every_option() -> set[str]:
    def inside(command: click.Command) -> set[str]:
        if not isinstance(command, click.Group):
            return options(command)
        context = click.Context(command)
        inner = [command.get_command(context, name) for name in command.list_commands(context)]
        return options(command).union(*(inside(one) for one in inner if one is not None))

    return inside(cli)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target in _LINK.findall(prose(name)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{target}: no such heading"


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_their_options_exist(name: str) -> None:
    for line in code(name):
        for said in re.findall(r"(?:^|[\s|&$`(])lockstep ([^#|&;`]*)", f" {line}"):
            words = re.findall(r"[^\s,\]\[()]+", said)
            while words and words[0] in ("--pipeline", "--state"):
                del words[:2]
            if not words or not re.fullmatch(r"[a-z]+", words[0]) or " import " in f" {line} ":
                continue
            command, rest = verb(words)
            assert command is not cli, f"there is no `lockstep {words[0]}`: {line}"
            if " -- " in said:  # what follows is another program's
                rest = rest[: rest.index("--")]
            unknown = {word.partition("=")[0] for word in rest if re.match(r"--\w", word)} - options(command)
            assert not unknown, f"`lockstep {command.name}` has no {unknown}: {line}"


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith(("docs/", "README"))])
def test_options_that_are_named_alone_exist(name: str) -> None:
    for said in re.findall(r"`(--[a-z-]+)[^`]*`", prose(name)):
        assert said in every_option(), f"no command has {said}"


@pytest.mark.parametrize("name", PAGES)
def test_settings_targets_and_files_exist(name: str) -> None:
    for line in code(name):
        for setting in re.findall(r"LOCKSTEP_[A-Z_]+[A-Z]", line):
            assert setting in CODE or setting in _of_tests(), f"nothing reads {setting}"
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", line):
            assert target in TARGETS, f"no `make {target}`"
    for path in re.findall(r"`((?:src|tests|bench|docs|examples|requirements)/[a-z_./-]+)`", prose(name)):
        assert (ROOT / path).exists(), f"there is no {path}"


@functools.cache
def _of_tests() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))


@pytest.mark.parametrize("name", PAGES)
def test_rows_of_tables_have_the_cells_of_their_heads(name: str) -> None:
    """A | within backticks divides a cell too, unless it is escaped: what is behind it would not be shown."""
    width = 0
    for number, line in enumerate(
        _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text(name)).splitlines(), 1
    ):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (width and cells) or cells == width, f"line {number}: {cells - 1} cells below {width - 1}"
        width = cells
