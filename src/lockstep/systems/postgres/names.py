"""How tables are named, and how names get into SQL.

`Table.name` is the schema and the table, joined by a dot, each exactly as the catalog has it: `public.users`,
`public.Users`. Nothing is folded to lower case, so quotes are not needed for capitals. A part that itself
has a dot or a double quote in it is put in double quotes, with quotes doubled: `public."a.b"`. A name of one
part is a table of the schema public.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lockstep.errors import DeclarationError

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def parse(name: str) -> tuple[str, str]:
    """(schema, table) of a table's name."""
    parts: list[str] = []
    at = 0
    while match := _PART.match(name, at):
        quoted_part, plain = match.groups()
        parts.append(plain if plain is not None else quoted_part.replace('""', '"'))
        at = match.end() + 1  # behind the dot, or one behind the end
        if name[at - 1 : at] != ".":
            break
    if at != len(name) + 1 or not 1 <= len(parts) <= 2:
        raise DeclarationError(
            f"{name!r} is no name of a PostgreSQL table",
            'Write it as "schema.table"; a part with a dot in it goes into double quotes: public."a.b".',
        )
    return ("public", parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def written(schema: str, table: str) -> str:
    """The name of a table, as `Table.name` has it. The reverse of `parse`."""
    return f"{_part(schema)}.{_part(table)}"


def _part(part: str) -> str:
    return quoted(part) if "." in part or '"' in part else part


def quoted(identifier: str) -> str:
    """An identifier for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def columns(names: Iterable[str]) -> str:
    """Identifiers for SQL, with commas between them."""
    return ", ".join(map(quoted, names))


def sql_name(name: str) -> str:
    """A table's name for SQL."""
    schema, table = parse(name)
    return f"{quoted(schema)}.{quoted(table)}"


def literal(text: str) -> str:
    """A text for SQL, whatever standard_conforming_strings is: for statements that take no parameters."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"
