"""What psycopg and the server raise, as the errors of Lockstep.

Everything the library below us can raise is told apart by its SQLSTATE, and where libpq gives none, as
for every failure to connect, by its words. What is not known to pass by itself is not tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from lockstep.errors import DataError, LockstepError, Refused, TimedOut, Unreachable

_AGAIN = "A run tries again by itself; look at the server and the network if it lasts."
_LOG = "Look into the PostgreSQL server's log."


class _Kind(NamedTuple):
    error: type[LockstepError]
    remedy: str


_PASSING = _Kind(Unreachable, _AGAIN)
_BUG = _Kind(
    Refused, "Run `lockstep check`. If it finds nothing, this is a fault of Lockstep: please report it."
)
_VALUE = _Kind(DataError, "Correct the value in the database.")

# The longest prefix of the SQLSTATE that is here decides.
_KINDS: dict[str, _Kind] = {
    "": _Kind(Refused, _LOG),
    "08": _PASSING,
    "22": _VALUE,
    "25": _BUG,
    "25006": _Kind(Refused, "Connect to the primary: a standby, or a read-only session, cannot be followed."),
    "25P03": _PASSING,
    "28": _Kind(Refused, "Correct the user or the password in the URL, or the server's pg_hba.conf."),
    "3D": _Kind(Refused, "Correct the database's name in the URL."),
    "40": _PASSING,
    "42": _Kind(Refused, "Run `lockstep check`: the database is not as the models say."),
    "42501": _Kind(
        Refused, "Run `lockstep check`: it names the privileges that are missing, with the GRANT."
    ),
    "42704": _Kind(Refused, "Run `lockstep check`: something that Lockstep needs is not there any more."),
    "53": _Kind(
        Unreachable, "The server is short of connections, memory or disk; a run tries again by itself."
    ),
    "53300": _Kind(
        Unreachable,
        "All connections of the server (max_connections), of the database or of the user are taken. A run "
        "tries again by itself; end sessions that nobody needs, or raise the limit.",
    ),
    "53301": _Kind(
        Unreachable,
        "All WAL senders of the server are taken. A run tries again by itself; end one that nobody needs "
        "(SELECT * FROM pg_stat_replication;), or raise max_wal_senders and restart the server.",
    ),
    "53400": _Kind(
        Unreachable,
        "All replication slots of the server are taken. A run tries again by itself; drop one that nobody "
        "needs (SELECT * FROM pg_replication_slots;), or raise max_replication_slots and restart the server.",
    ),
    "55006": _Kind(
        Unreachable, "Somebody else uses it: stop the other process. A run tries again by itself."
    ),
    "55P03": _Kind(
        Unreachable,
        "A lock was not to be had in time, as when a table is altered; a run tries again by itself.",
    ),
    "57": _PASSING,
    "57014": _Kind(TimedOut, "The server is slow, or a session holds a lock; a run tries again by itself."),
    "57P04": _Kind(Refused, "The database was dropped: correct the URL."),
    "58": _PASSING,
    "58P01": _Kind(Refused, _LOG),
    "XX": _Kind(Refused, f"{_LOG} Data or an index may be damaged."),
}

# libpq's words where it gives no SQLSTATE: (pattern, SQLSTATE that it would have been).
_WORDS = [
    (re.compile(pattern), state)
    for pattern, state in (
        (r"authentication failed|no password supplied|pg_hba\.conf|not permitted to log in", "28000"),
        (r'role ".*" does not exist|certificate|SSL.*(required|not support)', "28000"),
        (r'database ".*" does not exist', "3D000"),
        (r"not currently accepting connections", "57P03"),
        (r"too many (clients|connections)|connection slots are reserved|remaining connection slots", "53300"),
        (r"exceeds \"?max_wal_senders", "53301"),
        (r"permission denied|must be superuser|REPLICATION", "42501"),
        (r"invalid .*(option|value)|could not parse", "28000"),
    )
]


def translated(error: BaseException, doing: str) -> LockstepError:
    """The error as Lockstep's own, saying what was being done."""
    if isinstance(error, LockstepError):
        return error
    state = getattr(error, "sqlstate", None)
    words = _first_line(error)
    kind = _by_state(state) if state else _by_class(error, words)
    return kind.error(f"{doing}: {words}", kind.remedy)


def _by_state(state: str) -> _Kind:
    return next(_KINDS[state[:size]] for size in (5, 2, 0) if state[:size] in _KINDS)


def _by_class(error: BaseException, words: str) -> _Kind:
    if isinstance(error, psycopg.DataError | UnicodeError):
        return _VALUE
    if isinstance(error, psycopg.OperationalError):
        for pattern, state in _WORDS:
            if pattern.search(words):
                return _by_state(state)
        return _PASSING
    if isinstance(error, psycopg.InterfaceError | OSError):
        return _PASSING
    return _BUG


def _first_line(error: BaseException) -> str:
    detail = getattr(getattr(error, "diag", None), "message_detail", None)
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return f"{first} ({detail})" if detail else first


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Raises what happens inside as Lockstep's own error."""
    try:
        yield
    except (psycopg.Error, OSError, UnicodeError) as error:
        raise translated(error, doing) from error
