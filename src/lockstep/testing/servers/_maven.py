"""What Maven fetches for a server, once for a machine."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ._support import ServerUnavailable, cache_directory, locked


def fetched(
    pom: Path,
    how_to_get: str,
    prepare: Callable[[Path], None] = lambda directory: None,
    sha256: Mapping[str, str] | None = None,
) -> Path:
    """The directory with what a pom names, fetched and then prepared if this machine does not have it.

    `sha256`: of each file, where the repository has no checksums of its own; else they are required. Raises
    ServerUnavailable, saying `how_to_get`, where that cannot be done.
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
            checksums = "--strict-checksums" if sha256 is None else "--lax-checksums"
            command = [maven, "--batch-mode", "--quiet", checksums, "--file", str(pom)]
            command += ["dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if result.returncode:
                shutil.rmtree(partial)
                raise ServerUnavailable(f"{how_to_get}. Maven said: {result.stdout[-1500:]}")
            for name, expected in (sha256 or {}).items():
                if hashlib.sha256((partial / name).read_bytes()).hexdigest() != expected:
                    shutil.rmtree(partial)
                    raise ServerUnavailable(f"{name} is not the file it should be: its SHA-256 differs")
            prepare(partial)
            partial.rename(kept)
    return kept
