"""Object queries: all rows of a kind that fulfil conditions, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockstep.systems.zuora.api.client import Client

PAGE = 99
"""Records of one page, and values of one condition: what an object query gives at most."""

Json = Mapping[str, Any]

_ODD = frozenset(",[]")


def rows(client: Client, kind: str, params: Sequence[tuple[str, str]]) -> Iterator[Json]:
    """All rows of a kind, in the largest pages. `params`: conditions (`filter[]`), `sort[]`, `expand[]`."""
    cursor: list[tuple[str, str]] = []
    while True:
        asked = [*params, ("pageSize", str(PAGE)), *cursor]
        said = client.ask("GET", f"/object-query/{kind}", params=asked)
        yield from said.get("data") or ()
        if not said.get("nextPage"):
            return
        cursor = [("cursor", str(said["nextPage"]))]


def among(column: str, values: Sequence[str]) -> Iterator[str]:
    """Conditions that a column is one of these: many in each; what a list cannot say has one of its own."""
    plain = [one for one in values if one and not _ODD & set(one) and one == one.strip()]
    for start in range(0, len(plain), PAGE):
        yield f"{column}.IN:[{','.join(plain[start : start + PAGE])}]"
    for one in sorted(set(values) - set(plain)):
        yield f"{column}.EQ:{one}"
