"""Numbers in paths: those of accounts and subscriptions may hold what means something in a URL."""

from __future__ import annotations

from urllib.parse import quote


def in_path(number: str) -> str:
    """A number as one part of a path. Unquoted, `A?1`, `A#1` and `A%2F1` would be other accounts."""
    return quote(number, safe="")
