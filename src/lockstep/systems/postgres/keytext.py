"""A key as a person types it."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep import keys
from lockstep.errors import DataError, Refused
from lockstep.systems.postgres import tables
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.faults import mapped
from lockstep.values import Key, Table


def parse_key(address: Address, table: Table, parts: Sequence[str]) -> Key:
    """One text per key column, read as the server would: the types are asked for."""
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
                row = cursor.execute(f"SELECT {select}".encode(), list(parts)).fetchone()
        except Exception as error:
            labels = ", ".join(f"{column.name} ({column.label})" for column in wanted)
            raise DataError(
                f"{'|'.join(parts)!r} is no key of {table.name}: {error}", f"Its parts are {labels}."
            ) from error
    return keys.encode(row or ())
