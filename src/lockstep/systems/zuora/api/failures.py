"""What Zuora says no with, as our errors: what may be tried again, what not, what nobody can know.

A code is six digits for the resource and two for the kind of failure. `success: false` comes under HTTP 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockstep.errors import Refused, Unreachable


class NotDone(Unreachable):
    """It certainly did nothing, and may do it when asked again: a lock, a limit, no connection."""


class Failed(NotDone):
    """It answered that it failed, of a kind that passes: a lock. Under an Idempotency-Key that is the answer
    for a day, so another try needs another key."""


class Limited(NotDone):
    """It wants fewer requests, and has said for how long to wait."""


class Unsure(Unreachable):
    """Nobody can say whether it did what was asked: a time-out, a broken answer, a failing gateway. What was
    asked for may still be at work."""


class Declined(Refused):
    """It understood, did nothing, and will say the same again. `codes`: its own, such as 58410030."""

    def __init__(self, message: str, remedy: str, codes: tuple[int, ...] = ()) -> None:
        super().__init__(message, remedy)
        self.codes = codes

    @property
    def absent(self) -> bool:
        """There is no such record."""
        return any(code % 100 == 40 for code in self.codes)

    @property
    def taken(self) -> bool:
        """There is a record with that number already."""
        return any(code % 100 == 43 for code in self.codes)


_PASSES = {50: "another order holds the account", 60: "an internal error", 61: "a temporary error"}
_PASSES[70] = "too many requests at once"

_MENDS = {
    10: "Give the API user of these credentials the permission that the message names.",
    11: "Look at the API user and its OAuth client in Zuora.",
    20: "Correct the value that the message names in the mapping.",
    21: "Correct the field's name. The tenant's own end with __c; its settings in Zuora list them.",
    22: "Let the mapping give the field that the message names.",
    40: "Make the record that the message names in Zuora, or correct its number in the mapping.",
    43: "Another record has that number. Give this one a key of its own, or adopt what stands there.",
}


def said_no(body: Mapping[str, Any], asked: str) -> Failed | Declined:
    """The error of an answer that says `success: false`, or of one with status 4xx. `asked`: what for."""
    reasons = [one for one in body.get("reasons") or () if isinstance(one, Mapping)]
    texts = [f"{one.get('message', '?')} ({one.get('code', 'no code')})" for one in reasons]
    for one in body.get("Errors") or ():
        texts.append(f"{one.get('Message', '?')} ({one.get('Code', 'no code')})")
    texts += [
        str(body[name]) for name in ("faultstring", "message", "reason") if body.get(name) and not texts
    ]
    codes = tuple(int(one["code"]) for one in reasons if str(one.get("code", "")).isdigit())
    process = f"; process {body['processId']}" if body.get("processId") else ""
    text = f"{asked}: {'; '.join(texts) or 'Zuora said no and gave no reason'}{process}"
    passing = [_PASSES[code % 100] for code in codes if code % 100 in _PASSES]
    if codes and len(passing) == len(codes):
        return Failed(text, f"It is tried again: {passing[0]}.")
    mends = [_MENDS[code % 100] for code in codes if code % 100 in _MENDS]
    return Declined(text, mends[0] if mends else "See what the reason names in Zuora.", codes)
