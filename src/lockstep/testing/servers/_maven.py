"""What Maven fetches for a server, once for a machine."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ._support import ServerUnavailable, cache_directory, locked


def fetched(pom: Path, how_to_get: str, prepare: Callable[[Path], None] = lambda directory: None) -> Path:
    """The directory with what a pom names, fetched and then prepared if this machine does not have it.

    Raises ServerUnavailable, saying `how_to_get`, where that cannot be done.
    """
    name = pom.name.partition(".")[0]
    cache = cache_directory()
    kept = cache / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    with locked(cache / f"{name}.lock"):
        if not kept.exists():
            maven = shutil.which("mvn")
            if maven is None:
                raise ServerUnavailable(how_to_get)
            # Only a whole download gets the name under which it is looked for.
            partial = Path(tempfile.mkdtemp(dir=cache))
            command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom)]
            command += ["dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if result.returncode:
                shutil.rmtree(partial)
                raise ServerUnavailable(f"{how_to_get}. Maven said: {result.stdout[-1500:]}")
            prepare(partial)
            partial.rename(kept)
    return kept
