"""Whether the target holds what a mapping yields: each field that would lose something is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lockstep.declaration.described import describe
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.model import Model
from lockstep.forms.canonical import as_json
from lockstep.operations.annotated import below
from lockstep.ports import HoldingTarget, Loss
from lockstep.values import Finding, Record

_SHOWN = 60


def lossy(mapping: Mapping, roots: Iterable[Model], records: Sequence[Record]) -> Iterator[Finding]:
    """One finding for each field that refuses values, or holds others. It blocks where every record of the
    sample would be refused: then nothing could be written."""
    if not isinstance(mapping.target, HoldingTarget) or not records:
        return
    by_field: dict[tuple[str, bool], list[Loss]] = {}
    for loss in mapping.target.losses(records):
        by_field.setdefault((loss.field, loss.refused is None), []).append(loss)
    personal = _personal(roots) if by_field else frozenset()
    for (field, changes), lost in by_field.items():
        places = {loss.place for loss in lost}
        said = _changed(lost[0], personal) if changes else _refused(lost[0], personal)
        of = f"{len(places)} of {len(records)} sampled records"
        has = "has" if len(places) == 1 else "have"
        if lost[0].type is None:
            yield Finding(
                mapping.name,
                f"{mapping.target.name} has no field {field}, which {of} {has}: {lost[0].refused}",
                f"Add {field} there, or leave it out of the mapping. {_STUCK}",
                blocks=len(places) == len(records),
            )
            continue
        yield Finding(
            mapping.name,
            f"{field} of {mapping.target.name} is {lost[0].type}, which {'loses' if changes else 'refuses'} "
            f"what {of} {has} there: {said}",
            _REFUSES if not changes else _SEES if lost[0].kept else _LOSES,
            blocks=not changes and len(places) == len(records),
        )


_LOSES = (
    "Give the field a type that holds it, or let the mapping return what the field holds (round, cut or "
    "convert there). Left so, the target's form is taken as meant, and a check calls it no difference."
)
_SEES = (
    "Declare the field with a type that holds it (an index that is there keeps its types: that is for its "
    "next generation), or let the mapping return what the field holds. Left so, documents keep the value "
    "and a check compares it; searches, sorts and sums go by what is said here."
)
_STUCK = "Left so, these keys are stuck with this reason, and the others are written."
_REFUSES = f"Give the field a type that holds it, or let the mapping return what fits. {_STUCK}"


def _changed(loss: Loss, personal: frozenset[str]) -> str:
    zones = [getattr(one, "tzinfo", None) is not None for one in (loss.value, loss.held)]
    zone = ""
    if isinstance(loss.value, dt.datetime) and zones[0] != zones[1]:
        zone = ", in UTC and without its zone" if zones[0] else ", taken for UTC"
    if loss.kept:
        hidden = _hidden(loss.value, personal)
        value = _kind(loss.value) if hidden else _text(loss.value)
        if loss.held is None:
            return f"{value} would not be seen by searches"
        return f"{value} would be searched as {'another one' if hidden else _text(loss.held)}"
    if _hidden(loss.value, personal):
        return f"{_kind(loss.value)}{zone and f' would be held{zone}'}"
    return f"{_text(loss.value)} would be held as {_text(loss.held)}{zone}"


def _refused(loss: Loss, personal: frozenset[str]) -> str:
    if not _hidden(loss.value, personal):
        return f"{_text(loss.value)}: {loss.refused}"
    reason = str(loss.refused)
    return f"{_kind(loss.value)}" + ("" if str(loss.value) in reason else f": {reason}")


def _text(value: Any) -> str:
    text = as_json(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _kind(value: Any) -> str:
    length = f" of {len(value)} characters" if isinstance(value, str) else ""
    return f"a personal {type(value).__name__}{length}, not shown"


def _hidden(value: Any, personal: frozenset[str]) -> bool:
    """Whether it may be personal: it is what a personal column holds, or any text (or what has texts in it)
    where there are such columns: a mapping may have made it of them."""
    if not personal:
        return False
    return isinstance(value, str | bytes | list | tuple | dict) or _text(value) in personal


def _personal(roots: Iterable[Model]) -> frozenset[str]:
    return frozenset(
        _text(getattr(record, column.field))
        for record in below(roots)
        for column in describe(type(record)).columns
        if column.data_class is not None and getattr(record, column.field) is not None
    )
