"""What an error of PostgreSQL means for a write: whose fault it is, the row's or the target's.

A trigger may raise any code, so what is not known to be the server's business is the row's.
"""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from lockstep.errors import DataError, LockstepError, Refused, TargetReplaced, Unreachable
from lockstep.systems.postgres.faults import translated

_SERVERS = ("08", "25", "28", "3D", "3F", "40", "53", "55", "57", "58", "F0", "XX")
_READ_ONLY = (
    "The server is a standby, or the session is read-only: name the primary in the URL, or "
    "ALTER DATABASE … SET default_transaction_read_only = off;"
)
_GRANT = "Run `lockstep check`: it names the privileges that are missing, with the GRANT."
AGAIN = ("40001", "40P01")
"""Serialization failure, deadlock."""


def meaning(error: DBAPIError, system: str) -> LockstepError:
    """The error as Lockstep's; DataError where the row is at fault, with the database's reason."""
    orig = error.orig
    if not isinstance(orig, psycopg.Error):
        return DataError(str(orig), "Correct the mapping, or the table.")
    state = orig.sqlstate
    if state is None:
        if isinstance(orig, psycopg.DataError):
            return DataError(_said(orig), "Correct the mapping.")
        return translated(orig, f"asking the target {system}")
    said = f"{system}: {_said(orig)}"
    if state == "25006":
        return Refused(said, _READ_ONLY)
    if state == "42501":
        return Refused(said, _GRANT)
    if state == "3F000":
        return Refused(said, "Create it: CREATE SCHEMA …;")
    if state == "42P01":
        return TargetReplaced(said, "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.")
    if state == "42703":
        return Unreachable(said, "The table was altered; a run tries again by itself.")
    if state == "0A000" and "cached plan" in str(orig):
        return Unreachable(said, "The table was altered; a run tries again by itself.")
    if state[:2] in _SERVERS:
        return translated(orig, f"asking the target {system}")
    return DataError(f"{_said(orig)}", "Correct the mapping, or the constraint.")


def _said(error: psycopg.Error) -> str:
    """The server's own words: the message, its detail, and the trigger that raised it."""
    diag = error.diag
    words = [diag.message_primary or str(error).strip() or type(error).__name__]
    if diag.message_detail:
        words.append(f"({diag.message_detail})")
    if diag.context and "function" in diag.context:
        words.append(f"[{diag.context.splitlines()[0]}]")
    return " ".join(words)
