"""One process that looks at pages of a deep check, as who asks it sees it: see `looker` for what it does."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from typing import TypeVar

import msgspec

from lockstep.agreement.looking import Looked
from lockstep.declaration.modules import module_path
from lockstep.errors import LockstepError
from lockstep.operations.frames import Failed, Found, Ready, Task, receive, send
from lockstep.values import Key

A = TypeVar("A", Ready, Found)

_BEGIN = """'lockstep.operations.looker'
import sys
sys.path[:] = sys.argv[1:]
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from lockstep.operations.looker import main
main()
"""
"""Who asked ends it, and nobody else: what stops a whole service, or a terminal, stops who asked."""


def _command() -> list[str]:
    """This interpreter, as it was started itself, which finds modules where this one does."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-c", _BEGIN, *module_path()]


class Process:
    """It has begun once it is made, and looks once it is ready."""

    def __init__(self, task: Task) -> None:
        self._name = task.mapping
        self._task = task
        self._begun = False
        try:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a terminal's signals are for who asked, and so are its questions
            )
        except OSError as error:
            raise LockstepError(
                f"no process can be started to look at pages of {self._name}: {error}", self._alone()
            ) from error

    def begin(self) -> None:
        """Returns once it is ready. Raises what it failed with."""
        self._ask(self._task)
        self._answer(Ready)
        self._begun = True

    def look(self, keys: list[Key]) -> Looked:
        """What it found of a page. Raises what it failed with."""
        self._ask(keys)
        return self._answer(Found).looked

    def _answer(self, kind: type[A]) -> A:
        assert self._process.stdout is not None
        body = receive(self._process.stdout)
        if body is None:
            raise self._gone()
        answer = msgspec.msgpack.decode(body, type=Ready | Found | Failed)
        for line in answer.said:
            logging.getLogger(line.logger).log(line.level, "%s", line.text)
        if isinstance(answer, Failed):
            raise self._failed(answer.error())
        assert isinstance(answer, kind)
        return answer

    def end(self) -> None:
        """At once, and with whatever it began: it holds nothing that could be lost."""
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # half a frame was waiting for it
                pipe.close()

    def _kill(self) -> None:
        if self._process.returncode is None:  # it was not waited for, so its number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _ask(self, message: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended; why, is among its answers
            send(self._process.stdin, message)

    def _failed(self, error: LockstepError) -> LockstepError:
        """Before it was ready it may have been too many, or a file that is imported only once."""
        if not self._begun:
            error.remedy = f"{error.remedy} {self._alone()}".strip()
        return error

    def _gone(self) -> LockstepError:
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._kill()  # what it began
        code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        why = "Memory may have been short" if code == -signal.SIGKILL else "What it printed says why"
        return LockstepError(
            f"a process that looked at pages of {self._name} ended before its time ({how})",
            f"{why}. {self._alone()}",
        )

    def late(self, seconds: float) -> LockstepError:
        """That it is not ready after so many."""
        return LockstepError(
            f"a process that is to look at pages of {self._name} is not ready after {seconds:.0f} s",
            f"The pipeline file may wait for what this process has, or a system does. {self._alone()}",
        )

    def _alone(self) -> str:
        return f"One process looks alone by `lockstep verify {self._name} --deep --jobs 1`."
