"""A key as a person types it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from lockstep import keys
from lockstep.errors import DataError, Refused
from lockstep.far import read_date, read_datetime
from lockstep.systems.postgres import binds, tables
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.loaders import with_far
from lockstep.values import Key, Table


def parse_key(address: Address, table: Table, parts: Sequence[str]) -> Key:
    """One text per key column, read as the server would, or as `keys.text` shows it."""
    if len(parts) != len(table.key):
        raise DataError(
            f"the key of {table.name} has {len(table.key)} parts ({', '.join(table.key)}), not {len(parts)}",
            'Type them with "|" between them.',
        )
    with mapped(f"reading what the catalog says of {table.name}"), address.connect() as connection:
        info = tables.load(connection, [table.name]).get(table.name)
        if info is None:
            raise Refused(f"there is no table {table.name}", "Run `lockstep check`.")
        wanted = [info.column(name) for name in table.key]
        select = ", ".join(
            column.known.read.replace("{}", f"(${place}::text::{column.known.cast})")
            for place, column in enumerate(wanted, 1)
        )
        try:
            with connection.cursor(binary=True) as cursor:
                with_far(cursor.adapters)
                given = [_shown(column.known.name, part) for column, part in zip(wanted, parts, strict=True)]
                row = cursor.execute(f"SELECT {select}".encode(), given).fetchone()
        except Exception as error:
            labels = ", ".join(f"{column.name} ({column.label})" for column in wanted)
            raise DataError(
                f"{'|'.join(parts)!r} is no key of {table.name}: {error}", f"Its parts are {labels}."
            ) from error
    return keys.encode(row or ())


def _shown(type_: str, part: str) -> str:
    """What the server understands of a part that was copied from where Lockstep shows it."""
    if type_ == "bytea" and re.fullmatch(r"(?:[0-9a-f]{2})*", part):
        return f"\\x{part}"
    far = {"date": (read_date, binds.date), "timestamp": (read_datetime, binds.timestamp(False))}
    read, bind = far.get(type_, (read_datetime, binds.timestamp(True)))
    if type_ in ("date", "timestamp", "timestamptz"):
        with contextlib.suppress(ValueError):
            return bind(read(part)) or part
    return part
