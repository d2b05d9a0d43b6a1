"""Connections to a SQLite file, and SQLite's errors as Lockstep's.

A connection never creates the file and never changes how the user set it up: the journal mode stays what
it is. `busy` is how long a statement waits for a lock that somebody else holds.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from lockstep.errors import DataError, LockstepError, Refused, Unreachable

BUSY_SECONDS = 5.0

_AGAIN = {
    sqlite3.SQLITE_BUSY: "another connection holds its lock",
    sqlite3.SQLITE_LOCKED: "another connection holds its lock",
    sqlite3.SQLITE_IOERR: "it could not be read or written",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_PROTOCOL: "its lock file could not be used",
    sqlite3.SQLITE_INTERRUPT: "the statement was interrupted",
    sqlite3.SQLITE_SCHEMA: "its schema changed under the statement",
    sqlite3.SQLITE_NOMEM: "there was no memory left",
}
_NEVER = {
    sqlite3.SQLITE_CANTOPEN: "Give this user the right to read and write the file and its directory.",
    sqlite3.SQLITE_PERM: "Give this user the right to read and write the file and its directory.",
    sqlite3.SQLITE_READONLY: "Give this user the right to write the file and its directory.",
    sqlite3.SQLITE_NOTADB: "Point at a SQLite database; an encrypted one cannot be opened.",
    sqlite3.SQLITE_CORRUPT: "Run `PRAGMA integrity_check`, and restore the file from a backup.",
}


def quoted(name: str) -> str:
    """A name as SQL text."""
    return '"' + name.replace('"', '""') + '"'


def names(columns: Iterator[str] | tuple[str, ...] | list[str], of: str = "") -> str:
    """Names as SQL text with commas between, each preceded by the name of their table if given."""
    before = f"{quoted(of)}." if of else ""
    return ", ".join(before + quoted(name) for name in columns)


def connect(path: Path, *, busy: float = BUSY_SECONDS, query_only: bool = False) -> sqlite3.Connection:
    """A connection without implicit transactions, which any one thread at a time may use."""
    if not path.is_file():
        raise Refused(f"there is no SQLite database at {path}", "Correct the path, or create the database.")
    with mapped(path):
        connection = sqlite3.connect(
            f"file:{quote(os.fspath(path.absolute()))}?mode=rw",
            uri=True,
            timeout=busy,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            if query_only:
                connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA schema_version").fetchone()  # the first read finds what is wrong
        except BaseException:
            connection.close()
            raise
    return connection


def attach(connection: sqlite3.Connection, path: Path, *, made: bool) -> None:
    """Attaches another file as `saved`: one that is made now and synced by whoever makes it, or one that is
    only read and that nobody writes."""
    mode = "mode=rwc" if made else "mode=ro&immutable=1"
    connection.execute("ATTACH DATABASE ? AS saved", (f"file:{quote(os.fspath(path.absolute()))}?{mode}",))
    if made:
        connection.execute("PRAGMA saved.journal_mode = OFF")
        connection.execute("PRAGMA saved.synchronous = OFF")


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raises SQLite's errors as Lockstep's."""
    try:
        yield
    except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
        raise error_of(error, path) from error


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: committed at the end, rolled back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def error_of(error: Exception, path: Path) -> LockstepError:
    """What one of SQLite's errors means."""
    text = str(error)
    if isinstance(error, UnicodeEncodeError | OverflowError) or "decode to UTF-8" in text:
        found = re.search(
            r"UTF-8 column '(.*?)' with text", text
        )  # what follows is the value: not to be shown
        where = f" column {found[1]} holds" if found else " there is"
        return DataError(f"{path}:{where} a text that is no UTF-8", "Correct the text in the source.")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _AGAIN:
        return Unreachable(f"{path}: {_AGAIN[code]} ({text})", "A run tries again by itself.")
    return Refused(f"{path}: {text}", _NEVER.get(code, "Correct what SQLite names."))


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def file_of(path: Path) -> tuple[int, int] | None:
    """Which physical file a path leads to; None when to none. A restore puts another one in its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
