"""A process that is killed at each of its steps in the file system, one after the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

STEPS = ("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree")
_BODY = """
import os, signal, sys
{imports}
target = {expression}
repository = target.repository()
left, under = {step}, {under!r}
def watch(event, args):
    global left
    if event in {steps!r} and args and isinstance(args[0], (str, bytes, os.PathLike)):
        if under in os.fsdecode(args[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
repository.{call}
"""


def stopped_at_each_step(target: str, call: str, under: str, most: int = 500) -> Iterator[int]:
    """Calls the repository of `target` (Python source: imports, `;`, expression) in another process, killed
    (`SIGKILL`) right before its n-th use of a path with `under` in it. Yields n after each kill; the call is
    not made again once it came to its end."""
    imports, _, expression = target.rpartition(";")
    for step in range(1, most):
        body = _BODY.format(
            imports=imports,
            expression=expression.strip(),
            call=call.format(n=step),
            step=step,
            under=under,
            steps=STEPS,
        )
        ended = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            return
        assert ended.returncode == -9, ended.stderr
        yield step
    raise AssertionError(f"it takes more than {most} steps")
