"""What the servers share: the cache, free ports, waiting, and a process that leaves nothing behind."""

import atexit
import contextlib
import fcntl
import os
import pwd
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("_guard.py")


class ServerUnavailable(Exception):
    """This machine lacks what the server needs; the message says how to get it."""


class ServerFailed(Exception):
    """The server is here and did not do as it was told; the message ends with the tail of its log."""


def cache_directory() -> Path:
    """Where downloads are kept between runs: `LOCKSTEP_CACHE`, or the user's own cache."""
    named = os.environ.get("LOCKSTEP_CACHE")
    directory = Path(named) if named else Path.home() / ".cache" / "lockstep"
    directory.mkdir(parents=True, exist_ok=True)
    return directory.absolute()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on this file; the kernel lets go of it should we be killed."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port(low: int, high: int) -> int:
    """A free port in the range. Asking for port 0 would give one that any outgoing connection may take
    while the server is down between a stop and a start; callers pass ranges below those."""
    for _ in range(1000):
        port = random.randint(low, high)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed(f"no free port between {low} and {high}")


def open_to_others(path: Path) -> bool:
    """Whether any user may reach and run the file or directory."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def unprivileged_user(server: str) -> pwd.struct_passwd | None:
    """Who runs a server that refuses to run as root; whoever else runs the tests is good enough."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerUnavailable(f"{server} does not run as root: create the user 'nobody' for it")


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.01)


def process_state(pid: int) -> tuple[str, int] | None:
    """State letter and parent of a process; None when there is no such process (or no /proc)."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return state, int(parent)


def alive(pid: int) -> bool:
    """Whether the process still runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    state = process_state(pid)
    return state is None or state[0] != "Z"


def children(pid: int) -> list[int]:
    found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [child for child in found if (state := process_state(child)) and state[1] == pid]


class Supervisor:
    """One server process, the directory it lives in, and the guard that sees to both if we are killed.

    `group`: the process starts others, and signals are for all of them.
    """

    def __init__(
        self, name: str, death_signal: int, parent: str | None = None, *, group: bool = False
    ) -> None:
        self.name = name
        self.home = Path(tempfile.mkdtemp(prefix="lockstep-", dir=parent))
        self.log = self.home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._death_signal = death_signal
        self._sign = -1 if group else 1  # the negative of its first process names a group
        self._owner = os.getpid()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), str(self.home)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C at a terminal is for the tests, not for what they rely on
        )
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def spawn(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        user: pwd.struct_passwd | None = None,
        *,
        directory: Path | None = None,
    ) -> None:
        """Start the server, as another user and in another directory than its home where one is given."""
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory or self.home,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=() if user else None,
                start_new_session=True,
            )
        self._tell_guard(self._sign * self._process.pid)

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for the condition, or raise with the log's tail once the process has ended or time is up."""
        try:
            wait_until(lambda: self.pid is None or ready(), seconds, f"{self.name} to be ready")
        except TimeoutError as error:
            self.signal(signal.SIGKILL)
            raise self.failure(str(error)) from None
        if self.pid is None:
            code = self._process.returncode if self._process else None
            raise self.failure(f"{self.name} ended with code {code} while starting")

    def failure(self, problem: str) -> ServerFailed:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return ServerFailed("\n".join([f"{problem}; the end of its log:", *lines[-30:]]))

    def signal(self, number: int, seconds: float = 30) -> None:
        """Send a signal that ends the server and wait for the end; SIGKILL when it takes too long."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._sign * process.pid, number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(self._sign * process.pid, signal.SIGKILL)
            process.wait()
        self._tell_guard(0)

    def close(self) -> None:
        """End the server, if it runs, and remove its directory. Can be called again."""
        if os.getpid() != self._owner:
            return  # a forked copy of the process that started the server must not end it on its way out
        self.signal(self._death_signal)
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.close()
        self._guard.wait()
        atexit.unregister(self.close)

    def _tell_guard(self, pid: int) -> None:
        if self._guard.stdin and not self._guard.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.write(b"%d %d\n" % (pid, self._death_signal))
