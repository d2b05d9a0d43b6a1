"""The bytes of a key's element (see `lockstep.forms.keys`) as PostgreSQL makes them of a column: `{}`."""

from __future__ import annotations


def _whole() -> str:
    """A tag that says how many bytes there are, those bytes of the two's complement, and an end."""
    value = "{}::pg_catalog.int8"
    cases = [f"WHEN {value} = 0 THEN '\\x14'::bytea"]
    for size in range(1, 9):
        bits = 8 * size
        tags = (f"{0x14 + size:02x}", f"{0x14 - size:02x}") if size < 8 else ("1c00000008", "0cfffffff7")
        tail = f"substring(pg_catalog.int8send({value}) from {9 - size})"
        upper = f" AND {value} < {1 << bits}" if size < 8 else ""
        lower = f" AND {value} >= -{1 << bits}" if size < 8 else ""
        cases.append(f"WHEN {value} > 0{upper} THEN '\\x{tags[0]}'::bytea || {tail}")
        cases.append(f"WHEN {value} < 0{lower} THEN '\\x{tags[1]}'::bytea || {tail}")
    return f"(CASE {' '.join(cases)} END || '\\x00'::bytea)"


WHOLE = _whole()
TEXT = "('\\x30'::bytea || pg_catalog.convert_to({}::pg_catalog.text, 'UTF8') || '\\x00'::bytea)"
UUID = "('\\x32'::bytea || pg_catalog.uuid_send({}::pg_catalog.uuid))"
