"""docs/cli.md is what the commands say, and every command says enough."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lockstep.cli.docs import page
from lockstep.cli.main import SECTIONS, cli
from lockstep.cli.verb import Verb

VERBS = [name for section in SECTIONS.values() for name in section]
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_fresh() -> None:
    assert DOCS.read_text("utf-8") == page(), "run: python -m lockstep.cli.docs > docs/cli.md"


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_an_example_and_json(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, Verb)
    assert command.name == name
    assert command.help
    assert f"lockstep {name}" in command.example
    assert command.answer
    shown = CliRunner().invoke(cli, [name, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert "Example:" in shown.output
    assert "--json" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80


def test_help_fits_a_terminal_and_names_every_verb_and_exit_code() -> None:
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    widest = max(len(name) for section in SECTIONS.values() for name in section)
    for name, summary in (pair for section in SECTIONS.values() for pair in section.items()):
        assert f"{name:<{widest}}  {summary}" in shown.output
    for code in ("0", "1", "2", "3", "4", "130"):
        assert f"\n  {code:<3}  " in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
