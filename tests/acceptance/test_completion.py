"""Tab, pressed in real shells: verbs, options, and the names of the pipeline's mappings."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli_project import PIPELINE

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
BEGIN = {
    "bash": 'eval "$(lockstep completion bash)"',
    "zsh": 'autoload -Uz compinit; compinit -D; eval "$(lockstep completion zsh)"',
    "fish": "lockstep completion fish | source",
}
PATIENCE = 30.0
NOISY = PIPELINE + 'print("a pipeline that talks")\n'


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, shell: str, directory: Path) -> None:
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(directory),
            "TERM": "xterm",
            "PS1": "> ",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe(SHELLS[shell][0], SHELLS[shell], environment)
        self._seen = ""

    def type(self, text: str) -> None:
        self._seen = ""
        os.write(self._terminal, text.encode())

    def shows(self, pattern: str) -> bool:
        """Waits until what came since the last typing shows this; colours and movements do not count."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ready, _, _ = select.select([self._terminal], [], [], 0.2)
            if ready:
                self._seen += os.read(self._terminal, 65_536).decode(errors="replace")
            plain = re.sub(
                r"\x1b\[[0-9;?=>]*[A-Za-z]|\x1b[=>()][0-9A-Z]?|\x1b\][^\a]*\a|[\r\b\a]", "", self._seen
            )
            if re.search(pattern, plain):
                return True
        raise AssertionError(f"{pattern!r} did not show in {self._seen!r}")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which(request.param) is None:
        said = f"there is no {request.param} here: apt-get install {request.param}"
        if os.environ.get("LOCKSTEP_REQUIRE_SERVERS") == "1":
            pytest.fail(said)
        pytest.skip(said)
    (tmp_path / "pipeline.py").write_text(NOISY)
    made = Terminal(request.param, tmp_path)
    made.type(f"{BEGIN[request.param]}; echo rea''dy\n")
    made.shows("ready\n")
    yield made
    made.close()


def test_tab(terminal: Terminal) -> None:
    terminal.type("lockstep expla\t")
    terminal.shows(r"explain")
    terminal.type("\x15lockstep verify us\t")
    terminal.shows(r"users")
    terminal.type("\x15lockstep --pipeline missing.py verify us\t --js\t")
    terminal.shows(r"us\s+--json")
