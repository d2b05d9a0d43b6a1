"""Joins: by which columns a relation of two models is found, and what is said where it cannot be."""

from __future__ import annotations

from lockstep.declaration.described import Described, RelationField, describe, model_named
from lockstep.declaration.kinds import kind_of
from lockstep.declaration.model import Reference
from lockstep.errors import DeclarationError


def require_one_type(
    where: str, one: Described, names: tuple[str, ...], other: Described, others: tuple[str, ...]
) -> None:
    """A text is never equal to a number: such a relation would always be empty, and nobody would know."""
    by_name = [{column.name: column for column in side.columns} for side in (one, other)]
    for name, other_name in zip(names, others, strict=True):
        columns = by_name[0][name], by_name[1][other_name]
        kinds = [kind_of(column.type) for column in columns]
        if None not in kinds and kinds[0] != kinds[1]:
            raise DeclarationError(
                f"{where}: {one.cls.__name__}.{columns[0].field} is {kinds[0]} and "
                f"{other.cls.__name__}.{columns[1].field} is {kinds[1]}, and those are never equal",
                "Join by columns of one type; or correct the annotation that is wrong.",
            )


def join(
    parent: Described, related: Described, relation: RelationField, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parent's and the related table's columns that are equal."""
    sides = fields_named(relation.said.on)
    out = [] if relation.many else leading(parent, related)
    back = leading(related, parent)
    on = _fields_of(relation.said.on, parent)
    if sides and not relation.many and on and (reference := _spoken(on, related, out)):
        return column_names(parent, reference.columns), column_names(related, reference.of)
    if sides:
        on = _fields_of(relation.said.on, related)
        reference = _spoken(on, parent, back) if on else None
        if reference is None:
            raise DeclarationError(
                f"{where}: `on` names no column of {related.cls.__name__} or {parent.cls.__name__} that fits",
                f"Name the foreign key, such as {_suggest(back or out, related, parent)}.",
            )
        return column_names(parent, reference.of), column_names(related, reference.columns)
    if len(out) == 1 and not (back and parent.table == related.table and relation.many):
        return column_names(parent, out[0].columns), column_names(related, out[0].of)
    if len(out) > 1:
        raise _ambiguous(where, out, parent)
    if len(back) == 1:
        return column_names(parent, back[0].of), column_names(related, back[0].columns)
    if len(back) > 1:
        raise _ambiguous(where, back, related)
    kind = "many" if relation.many else "one"
    raise DeclarationError(
        f"{where}: no foreign key leads from {related.cls.__name__} to {parent.cls.__name__}"
        + ("" if relation.many else " or back"),
        f"Name the column: ls.{kind}(on={related.cls.__name__}.…), or the link table: "
        "ls.many(through=…), or declare the foreign key with ls.ref in the model.",
    )


def leading(model: Described, to: Described) -> list[Reference]:
    """The foreign keys of a model that lead to another one's table."""
    return [
        reference
        for reference in model.references()
        if describe(model_named(reference.to, model.declares(reference))).table == to.table
    ]


def _spoken(fields: tuple[str, ...], to: Described, known: list[Reference]) -> Reference | None:
    """The reference made of these fields: a known foreign key, or one to the other's key."""
    for reference in known:
        if set(reference.columns) == set(fields):
            return reference
    if len(fields) == len(to.key):
        return Reference(fields, to.cls.__name__, tuple(column.field for column in to.key))
    return None


def choose(
    candidates: list[Reference],
    sides: tuple[tuple[type, str], ...],
    link: Described,
    to: Described,
    where: str,
) -> Reference:
    """The foreign key by which a link table leads to one of its sides. Raises DeclarationError."""
    named = {field for owner, field in sides if issubclass(link.cls, owner)}
    if named:
        chosen = [reference for reference in candidates if set(reference.columns) <= named]
        if len(chosen) > 1:  # both sides lead to one table: this side is named first
            order = [field for _, field in sides]
            chosen.sort(key=lambda reference: order.index(reference.columns[0]))
        if chosen:
            return chosen[0]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise _ambiguous(where, candidates, link)
    raise DeclarationError(
        f"{where}: no foreign key leads from {link.cls.__name__} to {to.cls.__name__}",
        f"Declare it in {link.cls.__name__} with ls.ref.",
    )


def _ambiguous(where: str, candidates: list[Reference], model: Described) -> DeclarationError:
    choices = []
    for reference in candidates:
        name = model.declares(reference).__name__  # a shape is not defined yet inside its own body
        fields = [f"{name}.{field}" for field in reference.columns]
        choices.append(f"on={fields[0]}" if len(fields) == 1 else f"on=({', '.join(fields)})")
    return DeclarationError(
        f"{where}: {len(candidates)} foreign keys of {model.cls.__name__} lead there",
        f"Choose one: {' or '.join(choices)}.",
    )


def _suggest(candidates: list[Reference], related: Described, parent: Described) -> str:
    if candidates:
        return f"on={related.cls.__name__}.{candidates[0].columns[0]}"
    return f"on={related.cls.__name__}.{parent.cls.__name__.lower()}_id"


def fields_named(on: object) -> tuple[tuple[type, str], ...]:
    """(owner, field) of what `on` was given: `Message.author_id` is a member descriptor at run time."""
    if on is None:
        return ()
    given = on if isinstance(on, tuple) else (on,)
    found = []
    for item in given:
        owner, name = getattr(item, "__objclass__", None), getattr(item, "__name__", None)
        if owner is None or name is None:
            raise DeclarationError(f"on={on!r} is no field of a model", "Write it as on=Message.author_id.")
        found.append((owner, name))
    return tuple(found)


def _fields_of(on: object, model: Described) -> tuple[str, ...]:
    return tuple(field for owner, field in fields_named(on) if issubclass(model.cls, owner))


def column_names(model: Described, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a model's fields."""
    return tuple(model.column(field).name for field in fields)
