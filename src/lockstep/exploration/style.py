"""Python source as `ruff format` and Black would leave it, so that the first commit of a models.py that
a person formats is empty."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH = 88


@dataclass(frozen=True)
class Bracket:
    """Something in brackets. A call may put all its items on one line of their own; a list may not."""

    head: str
    items: tuple[Piece, ...]
    tail: str
    is_call: bool

    def flat(self) -> str:
        inner = ", ".join(_flat(item) for item in self.items)
        lonely = self.head.endswith("(") and not self.is_call and len(self.items) == 1
        return f"{self.head}{inner}{',' if lonely else ''}{self.tail}"


Piece = str | Bracket


def call(function: str, *items: Piece) -> Bracket:
    return Bracket(f"{function}(", items, ")", True)


def listed(items: Sequence[Piece], *, before: str = "") -> Bracket:
    return Bracket(f"{before}[", tuple(items), "]", False)


def tupled(items: Sequence[Piece]) -> Bracket:
    return Bracket("(", tuple(items), ")", False)


def text(value: str) -> str:
    """A string literal: in double quotes, unless that takes more escapes than single ones."""
    literal = repr(value)
    if literal[0] == '"' or value.count('"') > value.count("'"):
        return literal
    return '"' + literal[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def line(indent: int, before: str, piece: Piece, after: str = "") -> Iterator[str]:
    """A piece with what stands before and after it, on as few lines as fit."""
    blank = " " * indent
    whole = f"{blank}{before}{_flat(piece)}{after}"
    if isinstance(piece, str) or not piece.items or width(whole) <= WIDTH:
        yield whole
        return
    yield f"{blank}{before}{piece.head}"
    inner = f"{blank}    {', '.join(_flat(item) for item in piece.items)}"
    if piece.is_call and width(inner) <= WIDTH:
        yield inner
    else:
        for item in piece.items:
            yield from line(indent + 4, "", item, "," if len(piece.items) > 1 else "")
    yield f"{blank}{piece.tail}{after}"


def docstring(indent: int, first: str, rest: str = "") -> Iterator[str]:
    """A docstring of a sentence and what else there is to say, wrapped."""
    blank = " " * indent
    first, rest = _plain(first), _plain(rest)
    whole = f'{blank}"""{first}{" " if rest else ""}{rest}"""'
    if width(whole) <= WIDTH:
        yield whole
        return
    yield f'{blank}"""{first}'
    if rest:
        yield ""
        yield from _wrapped(rest, blank)
    yield f'{blank}"""'


def comment(indent: int, words: str, *, hang: str = "") -> Iterator[str]:
    """A comment, wrapped; lines after the first begin with `hang`."""
    blank = " " * indent + "# "
    for number, part in enumerate(_wrapped(printable(words), "", WIDTH - len(blank) - len(hang))):
        yield f"{blank}{hang if number else ''}{part}"


def width(line: str) -> int:
    """How wide a line is shown."""
    if line.isascii():
        return len(line)
    return sum(
        2 if unicodedata.east_asian_width(sign) in "WF" else unicodedata.combining(sign) == 0 for sign in line
    )


def _flat(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.flat()


def _plain(words: str) -> str:
    """Words that can stand in a docstring and end a sentence there."""
    words = printable(words).replace("\\", "\\\\").replace('"""', "'''")
    return f"{words}." if words and words[-1] not in ".!?…)" else words


def printable(words: str) -> str:
    """Words on one line, without signs that would end it, or that no file can hold."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(words.split()))


def _wrapped(words: str, blank: str, most: int = WIDTH) -> list[str]:
    return textwrap.wrap(
        words,
        most,
        initial_indent=blank,
        subsequent_indent=blank,
        break_long_words=False,
        break_on_hyphens=False,
    )
