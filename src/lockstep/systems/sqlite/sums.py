"""The hash of a row's columns, the same in SQL and in Python.  FORMAT, version 1.

The canonical text of values is the texts of all of them, one after the other. Each ends where it says, so
null, "" and a separator inside a text cannot be taken for each other:

null     n;
integer  i42;
real     r0.1;       the shortest text that reads back as the same double; -0.0 is 0.0; inf, -inf
text     t3:abc      the number of characters (code points) before it
blob     b2:00ff     the number of bytes before it, then lower-case hex

The hash is BLAKE2b of the text's UTF-8 bytes, 8 bytes long, read as a signed big-endian integer. It is taken
of the values as they are stored, so no setting of a session and no version of SQLite has a part in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

FORMAT = 1
FUNCTION = "lockstep_hash"


def canonical_text(values: Sequence[Any]) -> str:
    """The canonical text of stored values."""
    out = []
    for value in values:
        kind = type(value)
        if kind is str:
            out.append(f"t{len(value)}:{value}")
        elif kind is int:
            out.append(f"i{value};")
        elif value is None:
            out.append("n;")
        elif kind is float:
            out.append(f"r{value + 0.0!r};")
        else:
            out.append(f"b{len(value)}:{value.hex()}")
    return "".join(out)


def row_hash(*values: Any) -> int:
    """A signed 64-bit hash of stored values, in order."""
    text = canonical_text(values).encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def register(connection: sqlite3.Connection) -> None:
    """Lets SQL on this connection say `lockstep_hash(column, …)`."""
    connection.create_function(FUNCTION, -1, row_hash, deterministic=True)
