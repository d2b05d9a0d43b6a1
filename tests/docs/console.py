"""Runs what a Markdown page shows, and says what came out otherwise.

A page is a person at a terminal, from top to bottom:

- a `python` block whose first line is `# NAME.py` is a file; one is written where it stands in the text.
- a `diff` block changes the file its first line names (`+++ NAME.py`): the lines with - become those with +.
- a `console` block is typed: lines that begin with `$ ` are commands, what follows is what they print.
- a `console` block marked `second terminal` starts a command that goes on; it is interrupted at the end, or
  at the next such block. What is shown below it, it prints before anything else is typed. While it runs, a
  command is tried again for some seconds if it shows other than it should, because a change takes a moment.
- a `console` block marked `by hand` was typed by a person once, and is only read: it needs what a test lacks.
- blocks of other languages (`sh`, `text`) are only read.

What is compared: standard output, or standard error where there is no other. Any time, duration, process
number, score and number of attempts is as good as another; blanks and colours do not count; a line `…`
stands for any lines. Where a page tells of more records than a test has, any number is as good as another.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\u2800-\u28ff] [^…\n]*…|\r")  # and what turns while one waits
_ANY = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"), "TIME"),
    (re.compile(r"pid \d+ on [\w.-]+"), "PROCESS"),
    (re.compile(r"score [\d.]+"), "SCORE"),
    (re.compile(r"\d+ attempts?"), "ATTEMPTS"),
    (re.compile(r"(\bin )?\b\d[\d.,]* (ms|s|min|h)( \d+ (s|min))?( ago)?\b|\bnow\b"), "SPAN"),
    (re.compile(r"\s+"), " "),
)
_NUMBER = re.compile(r"(?<![\w.])\d+(,\d{3})*(?!\w)")
_PATIENCE = 20.0


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    language: str
    mark: str
    text: str


def blocks(page: str) -> list[Block]:
    return [
        Block(page.count("\n", 0, found.start()) + 1, found[1] or "", found[2].strip(), found[3])
        for found in _FENCE.finditer(page)
    ]


def normal(text: str, *, numbers: bool = True) -> list[str]:
    """Lines as they are compared; without their numbers where these do not matter."""
    lines = []
    for line in _ANSI.sub("", text).splitlines():
        for pattern, word in _ANY:
            line = pattern.sub(word, line)
        if not numbers:
            line = _NUMBER.sub("N", line)
        if line.strip():
            lines.append(line.strip())
    return lines


def agree(shown: list[str], printed: list[str]) -> bool:
    """Whether these lines were shown; `…` stands for any number of them."""
    if not shown:
        return not printed
    if shown[0] == "…":
        return any(agree(shown[1:], printed[start:]) for start in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and agree(shown[1:], printed[1:])


class Terminal:
    """Executes the blocks of a page in a directory. Raises AssertionError that names the line. `numbers`:
    whether those that are shown must be those that are printed."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *, numbers: bool = True) -> None:
        self.directory = directory
        self._numbers = numbers
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        looks = {"COLUMNS": "100", "FORCE_COLOR": "1", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment = {**os.environ, "PATH": path, **looks, **environment}
        self.environment.pop("LOCKSTEP_STATE", None)
        self._second: subprocess.Popen[bytes] | None = None

    def play(self, page: str) -> None:
        try:
            for block in blocks(page):
                self._block(block)
        finally:
            self.interrupt()

    def interrupt(self) -> None:
        """Ctrl-C in the second terminal."""
        if self._second is not None:
            self._second.send_signal(signal.SIGINT)
            code = self._second.wait(30)
            self._second = None
            assert code == 0, f"the second terminal ended with {code}"

    def _block(self, block: Block) -> None:
        if block.language == "python":
            self._file(block)
        elif block.language == "diff":
            self._change(block)
        elif block.language == "console" and block.mark == "second terminal":
            self.interrupt()
            self._begin(block)
        elif block.language == "console" and block.mark == "by hand":
            pass
        elif block.language == "console":
            for command, shown in _commands(block.text):
                self._type(block, command, shown)

    def _file(self, block: Block) -> None:
        name = block.text.partition("\n")[0].removeprefix("# ").strip()
        assert name.endswith(".py"), f"line {block.line}: a python block begins with # NAME.py"
        (self.directory / name).write_text(block.text)

    def _change(self, block: Block) -> None:
        first, *lines = block.text.splitlines()
        path = self.directory / first.removeprefix("+++ ")
        text = path.read_text()
        for old, new in zip(lines[::2], lines[1::2], strict=True):
            assert (old[0], new[0]) == ("-", "+"), f"line {block.line}: lines come in pairs of - and +"
            assert old[1:] in text, f"line {block.line}: {path.name} has no line {old[1:]!r}"
            text = text.replace(old[1:], new[1:])
        path.write_text(text)

    def _begin(self, block: Block) -> None:
        ((command, shown),) = _commands(block.text)
        log = self.directory.parent / "second.log"
        with log.open("wb") as out, (self.directory.parent / "second.err").open("ab") as err:
            self._second = self._start(f"exec {command}", out, err)
        deadline = time.monotonic() + _PATIENCE
        while not self._shows(shown, log.read_text()):
            self._expect(block, command, log.read_text(), until=deadline)

    def _shows(self, shown: str, printed: str) -> bool:
        return agree(normal(shown, numbers=self._numbers), normal(printed, numbers=self._numbers))

    @staticmethod
    def _expect(block: Block, command: str, printed: str, *, until: float) -> None:
        """Waits a little. Raises AssertionError once that is in vain."""
        if time.monotonic() >= until:
            raise AssertionError(
                f"line {block.line}: `{command}` prints other than is shown:\n{_ANSI.sub('', printed)}"
            )
        time.sleep(0.05)

    def _type(self, block: Block, command: str, shown: str) -> None:
        deadline = time.monotonic() + (_PATIENCE if self._second is not None else 0)
        while not self._shows(shown, printed := self._run(command)):
            self._expect(block, command, printed, until=deadline)

    def _run(self, command: str) -> str:
        """What a command prints. A `cd` in it lasts."""
        place = self.directory.parent / "place"
        ran = self._start(f"{command}\ncode=$?; pwd -P > '{place}'; exit $code")
        out, err = (stream.decode() for stream in ran.communicate(timeout=100))
        self.directory = Path(place.read_text().strip())
        return out if out.strip() else err

    def _start(
        self, command: str, out: int | IO[bytes] = subprocess.PIPE, err: int | IO[bytes] = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command with what is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown
