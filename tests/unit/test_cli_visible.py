"""Keys are data of others: a terminal is shown them, and does not obey them."""

from __future__ import annotations

import pytest

from lockstep.cli import output
from lockstep.cli.visible import key_name, visible


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("7", "7"),
        ("a/b 'c' \"d\" 🦀 é", "a/b 'c' \"d\" 🦀 é"),
        ("", '""'),
        (" ", '" "'),
        ("new\nline", '"new\\nline"'),
        ("\x1b[31mred\x9b2J", '"\\u001b[31mred\\u009b2J"'),
        ("\u202egnp.exe", '"\\u202egnp.exe"'),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_a_key_is_one_line_that_tells_what_it_is(key: str, shown: str) -> None:
    assert key_name(key) == shown


def test_lines_and_tabs_of_a_text_stay() -> None:
    assert visible("one\n\ttwo\r\x07") == "one\n\ttwo\\u000d\\u0007"


def test_nothing_printed_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    output.console().print("held: \x1b]0;title\x07")
    output.error("bad \x1b[2J", "mend \x9b")
    output.say("waits \x1b[H")
    output.show(output.indented("why: \x1b[31mred", 2))
    output.show(output.difference("name", "\x9b2J", "\u202exe", 80))
    table = output.grid("key")
    table.add_row("7\x1b]0;mine\x07")
    output.show(table)
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert "\\u001b[2J" in said
