"""Where a state store lives: a directory, or a PostgreSQL database."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from lockstep.errors import DeclarationError

KEPT = 86_400.0
"""Seconds for which a journal keeps hints that everybody has settled, unless its pipeline says otherwise."""

_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,40}")


class StateUrl:
    """A PostgreSQL database with a state store in it: `postgresql://user@host/db?schema=acme`.

    `schema` begins the names of its two schemas, `acme_ledger` and `acme_journal`; `lockstep` where the URL
    names none. Prints without the password, which `given` has.
    """

    def __init__(self, url: str) -> None:
        self.given = url
        parts = urlsplit(re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url))
        said = parse_qsl(parts.query, keep_blank_values=True)
        schema = dict(said).get("schema", "lockstep")
        if not _SCHEMA.fullmatch(schema):
            raise DeclarationError(
                f"the schema {schema!r} of the state store cannot be used",
                "Use lower-case letters, digits and _, at most 41, a letter first.",
            )
        rest = urlencode([(name, value) for name, value in said if name != "schema"])
        self.url = parts._replace(query=rest).geturl()
        self.schema = schema
        host = parts.netloc.rpartition("@")[2] or os.environ.get("PGHOST", "localhost")
        database = parts.path.lstrip("/") or os.environ.get("PGDATABASE", "")
        self.name = f"postgres:{host}/{database} ({schema})"

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"StateUrl({self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StateUrl) and (self.url, self.schema) == (other.url, other.schema)

    def __hash__(self) -> int:
        return hash((self.url, self.schema))


Place = Path | StateUrl


def place_of(given: str | os.PathLike[str] | StateUrl) -> Place:
    """A place as a person writes it. Raises DeclarationError for another kind of URL, or a file."""
    if isinstance(given, StateUrl):
        return given
    text = os.fspath(given)
    if re.match(r"postgres(ql)?(\+\w+)?:/", text):
        return StateUrl(re.sub(r"^([a-z+]+):/+", r"\1://", text))
    if re.match(r"[a-z][a-z0-9+]*://", text):
        raise DeclarationError(
            f"a state store cannot live at {text.partition(':')[0]}://…",
            "Name a directory, or a PostgreSQL database: postgresql://user@host:5432/dbname",
        )
    if os.path.isfile(text):
        raise DeclarationError(
            f"the state store {text} is a file, and a state store is a directory",
            "Name a directory that is there or can be made, or a PostgreSQL database.",
        )
    return Path(text)
