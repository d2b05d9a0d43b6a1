"""Pages by number, as the /v1 paths have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from ..engine.tree import Refused
from .call import Call

_T = TypeVar("_T")


def page(call: Call, found: Sequence[_T], *, default: int, most: int) -> tuple[Sequence[_T], dict[str, Any]]:
    """The page asked for, and `nextPage` where there is another."""
    try:
        number, size = int(call.one("page") or 1), int(call.one("pageSize") or default)
    except ValueError:
        raise Refused(20, "page and pageSize must be numbers") from None
    if number < 1 or not 1 <= size <= most:
        raise Refused(20, f"page must be at least 1, and pageSize from 1 to {most}")
    shown = found[(number - 1) * size : number * size]
    if number * size >= len(found):
        return shown, {}
    rest = [(name, value) for name, value in call.query if name not in {"page", "pageSize"}]
    query = urlencode([*rest, ("page", number + 1), ("pageSize", size)])
    return shown, {"nextPage": f"{call.headers.get('x-base', '')}{call.path}?{query}"}
