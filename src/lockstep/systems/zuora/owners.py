"""Who owns a field that both the app and Zuora show, and what is done about an edit by the one who does not.

Pure: it says what to write and what to report, from three views of a record. `guarded.py` holds by it.
That no other mapping brings such a field back is for `operations/ownership.py`, before anything runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from lockstep.errors import DeclarationError

Side = Literal["app", "zuora"]
Policy = Literal["overwrite", "hold", "accept"]


class Owned(NamedTuple):
    """`drift`: what becomes of an edit in Zuora of what the app owns. overwrite: it is made as the app says;
    hold: nothing of the record is written until a person has decided; accept: it stays."""

    by: Side
    drift: Policy = "overwrite"


class Drifted(NamedTuple):
    """An edit by somebody else: of a field, what was written last, what is there, and what should be."""

    field: str
    sent: Any
    found: Any
    wanted: Any
    policy: Policy


class Judged(NamedTuple):
    """`write`: the fields to be sent; none where one is held. `drifted`: to be reported, whatever is done."""

    write: dict[str, Any]
    drifted: list[Drifted]
    held: bool


class Owners:
    """One owner for each field. Raises DeclarationError for a policy that could never apply."""

    def __init__(self, fields: Mapping[str, Owned]) -> None:
        for name, one in fields.items():
            if one.by == "zuora" and one.drift != "overwrite":
                raise DeclarationError(
                    f"{name} is Zuora's, and has the drift policy {one.drift!r}",
                    "Only what the app owns can be edited by somebody else in Zuora: leave the policy out.",
                )
        self._fields = dict(fields)

    def judged(
        self, *, sent: Mapping[str, Any] | None, found: Mapping[str, Any], wanted: Mapping[str, Any]
    ) -> Judged:
        """What to do with a record. `sent`: as it was written last, None where it never was (no edit then).
        What is found as it is wanted needs nothing, whoever made it so."""
        write: dict[str, Any] = {}
        drifted: list[Drifted] = []
        for name, value in wanted.items():
            owner = self._fields.get(name)
            there = found.get(name)
            if owner is None or owner.by != "app" or there == value:
                continue
            if sent is not None and name in sent and there != sent[name]:
                drifted.append(Drifted(name, sent[name], there, value, owner.drift))
                if owner.drift != "overwrite":
                    continue
            write[name] = value
        held = any(one.policy == "hold" for one in drifted)
        return Judged({} if held else write, drifted, held)
