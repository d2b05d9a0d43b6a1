"""A system by its URL, for exploring it: the connector is imported only once it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockstep.catalog import Catalog
from lockstep.errors import DeclarationError
from lockstep.ports import Source

_KNOWN = (
    "postgresql://user@host/database, sqlite:///app.db, the path of a .db, .sqlite or .sqlite3 file, or "
    "zuora, whose tenant ZUORA_URL, ZUORA_CLIENT_ID and ZUORA_CLIENT_SECRET name"
)


def connect(url: str) -> Source:
    """The source behind a URL or a file name. Opens nothing yet.

    Raises DeclarationError for a URL that nobody serves, or whose connector is not installed.
    """
    scheme, separator, rest = url.partition(":")
    if separator and scheme in ("postgresql", "postgres"):
        return _postgres(url)
    if separator and scheme == "sqlite":
        return _sqlite(rest.removeprefix("///") if rest.startswith("///") else rest)
    if url == "zuora":
        return _zuora()
    if Path(url).suffix in (".db", ".sqlite", ".sqlite3"):
        return _sqlite(url)
    raise DeclarationError(f"nothing here can explore {redacted(url)!r}", f"Name {_KNOWN}.")


def explore(url: str) -> Catalog:
    """Every table of a system: columns, keys, foreign keys, rows. Reads, and changes nothing."""
    return connect(url).catalog()


def redacted(url: str) -> str:
    """A URL as it may be shown: without a password, and without the values of its secret parameters."""
    url = re.sub(r"(?<=://)([^/@:]*):([^/]*)@", r"\1@", url)
    return re.sub(r"(?i)([?&; ](?:password|passfile|token|secret|api_?key|sslpassword)=)[^&; ]*", r"\1…", url)


def _postgres(url: str) -> Source:
    with _installed("PostgreSQL", "psycopg", "postgres"):
        from lockstep.systems.postgres import Postgres
    return Postgres(url)


def _zuora() -> Source:
    with _installed("Zuora", "httpx", "zuora"):
        from lockstep.systems.zuora.system import Zuora
    return Zuora.from_env().tables()


@contextmanager
def _installed(system: str, library: str, extra: str) -> Iterator[None]:
    """Says how to get the library that a connector needs, where it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise DeclarationError(
            f"{system} needs {library}, which is not installed",
            f"Install it with: pip install 'lockstep-sync[{extra}]'",
        ) from error


def _sqlite(path: str) -> Source:
    if not Path(path).is_file():
        raise DeclarationError(
            f"there is no file {path or '(nothing was named)'}",
            "Name the database's file: sqlite:///app.db, or sqlite:////srv/app.db for an absolute path.",
        )
    from lockstep.systems.sqlite import SQLite

    return SQLite(path)
