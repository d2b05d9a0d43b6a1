"""Shapes, resolved: a tree of nodes, one per table on a path from the root.

    Person ── company            one    users.company_id = companies.id
           ── (users_tags)       link   users.id = users_tags.user_id
              └─ tags            one    users_tags.tag_id = tags.id
           ── threads            many   users.id = conversations.user_id
              └─ messages        many   conversations.id = messages.conversation_id

A link table is a node of its own without a class. Everything else in Lockstep walks this tree: reads go
down it, expansion of hints goes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockstep.described import Column, Described, RelationField, describe, model_named
from lockstep.errors import DeclarationError
from lockstep.kinds import kind_of
from lockstep.model import Model, Reference
from lockstep.values import Table


@dataclass(frozen=True)
class Node:
    """One table on a path. `up` are its columns, `down` its parent's, that are equal.

    `field` is the parent's field that it fills. `cls` is None for a link table, whose only child is
    the related table. `many`: the parent's field is a list; `optional`: it may be None.
    """

    path: str
    table: Table
    cls: type[Model] | None
    fields: tuple[Column | RelationField, ...]
    field: str
    many: bool
    optional: bool
    down: tuple[str, ...]
    up: tuple[str, ...]
    children: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def trail(self, node: Node) -> tuple[Node, ...]:
        """The nodes from this one down to `node`, both included."""
        if node is self:
            return (self,)
        for child in self.children:
            rest = child.trail(node)
            if rest:
                return (self, *rest)
        return ()


def resolve(shape: type[Model]) -> Node:
    """The tree of a shape. Raises DeclarationError where the annotations have no one meaning."""
    return _node(describe(shape), "", "", False, False, "", (), (), ())


def _node(
    described: Described,
    path: str,
    field: str,
    many: bool,
    optional: bool,
    over: str,
    down: tuple[str, ...],
    up: tuple[str, ...],
    above: tuple[type[Model], ...],
) -> Node:
    """`over`: the table of the node above, whose `down` columns equal `up` here."""
    if described.cls in above:
        chain = " → ".join(cls.__name__ for cls in (*above, described.cls))
        end = path.rpartition(".")[2]
        plain = _plain_base(described.cls)
        raise DeclarationError(
            f"the shape reaches itself and never ends: {chain} (through {path})",
            f"Name the depth: annotate `{end}` with a model without relations, such as {plain}.",
        )
    children = tuple(
        _related(described, relation, f"{path}.{relation.field}".lstrip("."), (*above, described.cls))
        for relation in described.relations
    )
    return Node(
        path,
        _table(described, up, over, down),
        described.cls,
        described.fields,
        field,
        many,
        optional,
        down,
        up,
        children,
    )


def _plain_base(cls: type[Model]) -> str:
    for base in cls.__mro__:
        if isinstance(base, type) and issubclass(base, Model) and base is not Model:
            try:
                if not describe(base).relations:
                    return base.__name__
            except DeclarationError:
                continue
    return f"a model of {cls.__name__}'s table"


def _table(described: Described, up: tuple[str, ...], over: str, down: tuple[str, ...]) -> Table:
    key = tuple(column.name for column in described.key)
    columns = tuple(column.name for column in described.columns)
    types = tuple((column.name, column.python) for column in described.columns if column.python)
    joins = tuple(name for name in up if name not in key)
    meets = tuple((name, over, other) for name, other in zip(up, down, strict=True))
    return Table(described.table, columns, key, joins, types, meets)


def _related(parent: Described, relation: RelationField, path: str, above: tuple[type[Model], ...]) -> Node:
    where = f"{parent.cls.__name__}.{relation.field}"
    related = describe(relation.to)
    if relation.said.through is not None:
        return _through(parent, related, relation, path, above, where)
    down, up = _join(parent, related, relation, where)
    _require_one_type(where, parent, down, related, up)
    return _node(
        related, path, relation.field, relation.many, relation.optional, parent.table, down, up, above
    )


def _through(
    parent: Described,
    related: Described,
    relation: RelationField,
    path: str,
    above: tuple[type[Model], ...],
    where: str,
) -> Node:
    assert relation.said.through is not None
    link = describe(relation.said.through)
    sides = _fields(relation.said.on)
    if parent.table == related.table and not sides:
        raise DeclarationError(
            f"{where}: both sides of {link.cls.__name__} lead to {parent.table}",
            f"Name them, this side first: ls.many(through={link.cls.__name__}, "
            f"on=({', '.join(f'{link.cls.__name__}.{r.columns[0]}' for r in _leading(link, parent))})).",
        )
    near = _choose(_leading(link, parent), sides, link, parent, where)
    far_sides = [reference for reference in _leading(link, related) if reference != near]
    far = _choose(far_sides, sides, link, related, where)
    child = _node(
        related,
        path,
        relation.field,
        False,
        False,
        link.table,
        _names(link, far.columns),
        _names(related, far.of),
        above,
    )
    up, down = _names(link, near.columns), _names(parent, near.of)
    _require_one_type(where, parent, down, link, up)
    _require_one_type(where, link, _names(link, far.columns), related, _names(related, far.of))
    return Node(
        f"{path}~{link.table}",
        _table(link, up, parent.table, down),
        None,
        link.columns,
        relation.field,
        True,
        False,
        down,
        up,
        (child,),
    )


def _require_one_type(
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


def _join(
    parent: Described, related: Described, relation: RelationField, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parent's and the related table's columns that are equal."""
    sides = _fields(relation.said.on)
    out = [] if relation.many else _leading(parent, related)
    back = _leading(related, parent)
    on = _fields_of(relation.said.on, parent)
    if sides and not relation.many and on and (reference := _spoken(on, parent, related, out)):
        return _names(parent, reference.columns), _names(related, reference.of)
    if sides:
        on = _fields_of(relation.said.on, related)
        reference = _spoken(on, related, parent, back) if on else None
        if reference is None:
            raise DeclarationError(
                f"{where}: `on` names no column of {related.cls.__name__} or {parent.cls.__name__} that fits",
                f"Name the foreign key, such as {_suggest(back or out, related, parent)}.",
            )
        return _names(parent, reference.of), _names(related, reference.columns)
    if len(out) == 1 and not (back and parent.table == related.table and relation.many):
        return _names(parent, out[0].columns), _names(related, out[0].of)
    if len(out) > 1:
        raise _ambiguous(where, out, parent)
    if len(back) == 1:
        return _names(parent, back[0].of), _names(related, back[0].columns)
    if len(back) > 1:
        raise _ambiguous(where, back, related)
    kind = "many" if relation.many else "one"
    raise DeclarationError(
        f"{where}: no foreign key leads from {related.cls.__name__} to {parent.cls.__name__}"
        + ("" if relation.many else " or back"),
        f"Name the column: ls.{kind}(on={related.cls.__name__}.…), or the link table: "
        "ls.many(through=…), or declare the foreign key with ls.ref in the model.",
    )


def _leading(model: Described, to: Described) -> list[Reference]:
    """The foreign keys of a model that lead to another one's table."""
    return [
        reference
        for reference in model.references()
        if describe(model_named(reference.to, model.declares(reference))).table == to.table
    ]


def _spoken(
    fields: tuple[str, ...], model: Described, to: Described, known: list[Reference]
) -> Reference | None:
    """The reference made of these fields: a known foreign key, or one to the other's key."""
    for reference in known:
        if set(reference.columns) == set(fields):
            return reference
    if len(fields) == len(to.key):
        return Reference(fields, to.cls.__name__, tuple(column.field for column in to.key))
    return None


def _choose(
    candidates: list[Reference],
    sides: tuple[tuple[type, str], ...],
    link: Described,
    to: Described,
    where: str,
) -> Reference:
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


def _fields(on: object) -> tuple[tuple[type, str], ...]:
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
    return tuple(field for owner, field in _fields(on) if issubclass(model.cls, owner))


def _names(model: Described, fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(model.column(field).name for field in fields)
