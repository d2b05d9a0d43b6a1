"""Outlives a process that was killed, to end the server it had started and to remove its directory.

`Supervisor` runs this file as a script (bare standard library, so that it starts in milliseconds). It
reads lines ``<pid> <signal>`` from the pipe on its standard input, the newest line saying what would have
to be ended now, and acts when the other end of the pipe closes, which the kernel sees to however the
process there ended. A parent-death signal would not do: it is tied to the *thread* that started the
server, and a pre-exec hook warns in a process with threads.
"""

import os
import select
import shutil
import signal
import sys
import time


def _ended(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)  # not our child: there is nothing to wait on
    return False


def main() -> None:
    parent = os.getppid()
    pid = how = 0
    while os.getppid() == parent:  # a forked copy of the parent may hold the pipe open
        if select.select([0], [], [], 1.0)[0]:
            text = os.read(0, 4096).decode()
            if not text:
                break
            pid, how = map(int, text.splitlines()[-1].split())
    if pid:
        for number in (how, signal.SIGKILL):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                break
            if _ended(pid, 10):
                break
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
