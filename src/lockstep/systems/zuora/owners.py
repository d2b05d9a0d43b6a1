"""Who owns a field that both the app and Zuora show, and what is done about an edit by the one who does not.

Pure: it says what to write and what to report, from three views of a record. `guarded.py` holds by it;
nothing checks the flows yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from lockstep.errors import DeclarationError
from lockstep.values import Finding

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

    def check(self, *, written: Iterable[str], read: Iterable[str]) -> list[Finding]:
        """Before anything runs: `written` are the fields that mappings set in Zuora, `read` those that they
        bring from Zuora into the app. One with no owner, or that flows against its owner, blocks."""
        flows: list[tuple[Iterable[str], Side, str]] = [
            (sorted(set(written)), "app", "sets it in Zuora"),
            (sorted(set(read)), "zuora", "brings it from Zuora into the app"),
        ]
        found = []
        for names, needed, does in flows:
            for name in names:
                owner = self._fields.get(name)
                if owner is None:
                    mend = f'Declare who owns it: Owned("{needed}") agrees with this mapping.'
                    found.append(Finding(name, f"a mapping {does}, and nobody owns it", mend))
                elif owner.by != needed:
                    mend = (
                        "Take it out of that mapping, or let the other side own it: one owner for each field."
                    )
                    found.append(Finding(name, f"a mapping {does}, and its owner is {owner.by}", mend))
        return found

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
