"""What a column of PostgreSQL would hold of texts, asked of the server without writing.

A cast is no assignment: it cuts a text to its length. What `json_to_recordset` makes of strings goes through
a type's own input with its length and precision, as in a COPY: a text that is too long is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import DataError
from lockstep.forms.canonical import as_json
from lockstep.systems.postgres.target import encoders
from lockstep.systems.postgres.target.rejections import meaning
from lockstep.systems.sql.columns import Codec, bare


def kept(connection: sa.Connection, codec: Codec, cells: Sequence[str]) -> list[Any]:
    """The cells as they would be read; DataError in the place of one that is refused. None at all where the
    server knows no such type outside of a table (`serial`)."""
    if codec.encode is encoders.json:
        return list(cells)  # which a string in JSON is no text of
    try:
        return _asked(connection, codec, cells)
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", None)).startswith("42"):
            return []
        meant = meaning(error, "the server")
        if not isinstance(meant, DataError):
            raise
        if len(cells) == 1:
            return [meant]
    return [one for cell in cells for one in kept(connection, codec, [cell])]


def _asked(connection: sa.Connection, codec: Codec, cells: Sequence[str]) -> list[Any]:
    type_ = bare(codec.declared)
    made = (
        f"SELECT {codec.read.replace('{}', 't.v')} FROM pg_catalog.json_to_recordset(%s::pg_catalog.json) "
        f"AS t(n integer, v {type_}) ORDER BY t.n"
    )
    asked = as_json([{"n": n, "v": cell} for n, cell in enumerate(cells)])
    with connection.begin_nested():
        return [cell for (cell,) in connection.exec_driver_sql(made, (asked,))]
