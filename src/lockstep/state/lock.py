"""The one `run` of a state directory: a lock that the kernel gives back, however the process dies."""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
import time
from pathlib import Path

from lockstep.errors import StateInUse

TRIES = 20
WAIT = 0.05


class RunLock:
    """`run.lock` in the state directory, or another of that kind; its text says who holds it."""

    def __init__(self, directory: Path, name: str = "run") -> None:
        self._directory = directory
        self._path = directory / f"{name}.lock"
        self._name = name
        self._lock: int | None = None

    def take(self) -> None:
        """Takes the right to run. The kernel gives it back when the process dies, however it dies.

        Whoever asks for the `holder` locks for an instant, so it is tried for a second. Raises StateInUse
        that says who holds it.
        """
        handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if not _locked(handle):
            holder = os.read(handle, 400).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise in_use(self._directory, self._name, holder)
        os.ftruncate(handle, 0)
        os.pwrite(handle, whoami().encode(), 0)
        self._lock = handle

    def confirm(self) -> None:
        """The kernel takes it from nobody who lives."""

    def holder(self) -> str | None:
        """Who runs now, None when nobody does."""
        if self._lock is not None or not self._path.exists():
            return None
        with self._path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(400).decode(errors="replace").strip() or "another process"
            return None

    def close(self) -> None:
        """Gives the right back, where it was taken."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def in_use(place: object, name: str, holder: str) -> StateInUse:
    """What is said to who comes second."""
    if name == "run":
        return StateInUse(
            f"{place} is in use by {holder}", "Stop that run first, or work with it: `lockstep status`."
        )
    if name == "snapshot":
        return StateInUse(
            f"another snapshot of {place} is being made: {holder}", "Let it end, then ask again."
        )
    if name == "follow":
        return StateInUse(
            f"another deploy follows what it has built: {holder}", "End it first: Ctrl-C where it runs."
        )
    return StateInUse(
        f"another deploy, rollback, restore or drill of {place} goes on: {holder}",
        "Let it end, or end it: what it has done so far is kept, and goes on when it is asked for again.",
    )


def _locked(handle: int) -> bool:
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                time.sleep(WAIT)
    return False


def whoami() -> str:
    """user@host, process id: as shown to whoever finds the lock held."""
    return f"{user()}@{socket.gethostname()}, process {os.getpid()}"


def user() -> str:
    """Who is logged in, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
