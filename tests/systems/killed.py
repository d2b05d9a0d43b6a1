"""A process that writes, and is killed in the middle of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_BODY = """
import sys
from lockstep.forms.keys import encode
from lockstep.values import Change, Fingerprint, Meta, Status, version
writer = {target}.open(1)
for batch in range(1, 100_000):
    keys = [encode((number,)) for number in range(batch * 10, batch * 10 + 10)]
    changes = [
        Change(key, {{"name": "user"}}, Meta("m", key, Fingerprint(1), 1, version(1, batch))) for key in keys
    ]
    if all(outcome.status is Status.APPLIED for outcome in writer.write(changes)):
        print(batch, flush=True)
"""


def applied_before_the_kill(target: str, cwd: Path, batches: int = 12) -> int:
    """Runs a writer of `target` (Python source), kills it -9 while it writes; the last batch it answered."""
    body = "from pathlib import Path\n" + target.rpartition(";")[0] + "\n"
    body += _BODY.format(target=target.rpartition(";")[2].strip())
    process = subprocess.Popen([sys.executable, "-c", body], cwd=cwd, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= batches:
            break
    process.kill()
    rest = process.stdout.read().split("\n")[:-1]  # a last line without its end was not answered
    process.stdout.close()
    process.wait()
    return max([batches, *(int(line) for line in rest)])
