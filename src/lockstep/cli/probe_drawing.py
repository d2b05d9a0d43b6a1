"""What a probe found, as a tree for the terminal: only branches on which something befell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lockstep.systems.zuora.probe.probed import Change, Recorded, counted, fate, label

_SIGNS = {"created": "+", "removed": "-", "superseded": "x", "cut short": "<", "extended": ">"}
_SIGNS |= {"same": "=", "changed": "~", "restored": "^", "touched": "."}


def drawn(found: Sequence[Change], before: Sequence[Recorded], after: Sequence[Recorded]) -> Iterator[str]:
    """Lines: parents above what hangs on them, each with what befell it, and a last one that counts."""
    if not found:
        yield "Nothing befell the account's records."
        return
    known = {one.id: one for one in before} | {one.id: one for one in after}
    told = {one.id: one for one in found}
    shown = {above for id in told for above in _above(id, known)}
    below: dict[str | None, list[Recorded]] = {}
    for one in known.values():
        if one.id in shown:
            below.setdefault(one.parent if one.parent in known else None, []).append(one)
    yield from _branches(below, None, "", told)
    yield "; ".join(f"{count} {words}" for words, count in sorted(counted(found).items()))


def _above(id: str, known: dict[str, Recorded]) -> Iterator[str]:
    """A record and all that it hangs on."""
    at: str | None = id
    while at is not None and at in known:
        yield at
        at = known[at].parent


def _branches(
    below: dict[str | None, list[Recorded]], parent: str | None, blank: str, told: dict[str, Change]
) -> Iterator[str]:
    some = below.get(parent, [])
    for place, one in enumerate(some, 1):
        last = place == len(some)
        head, rest = ("", "") if parent is None else ("└─ ", "   ") if last else ("├─ ", "│  ")
        change = told.get(one.id)
        sign = " " if change is None else _SIGNS[change.what]
        words = "" if change is None else f"  {fate(change)}"
        yield f"{blank}{head}{sign} {one.kind} {label(one)}{words}"
        more = blank + rest + ("│  " if below.get(one.id) else "   ")
        if change is not None:
            if change.copied_from is not None:
                yield f"{more}  id {change.copied_from} → {change.id}"
            for name, (old, new) in change.fields.items():
                yield f"{more}  {name}: {_value(old)} → {_value(new)}"
        yield from _branches(below, one.id, blank + rest, told)


def _value(given: Any) -> str:
    return "none" if given is None else str(given)
