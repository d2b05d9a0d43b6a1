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

from lockstep.declaration.described import Column, Described, RelationField, describe
from lockstep.declaration.joins import choose, column_names, fields_named, join, leading, require_one_type
from lockstep.declaration.model import Model
from lockstep.errors import DeclarationError
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
    down, up = join(parent, related, relation, where)
    require_one_type(where, parent, down, related, up)
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
    sides = fields_named(relation.said.on)
    if parent.table == related.table and not sides:
        raise DeclarationError(
            f"{where}: both sides of {link.cls.__name__} lead to {parent.table}",
            f"Name them, this side first: ls.many(through={link.cls.__name__}, "
            f"on=({', '.join(f'{link.cls.__name__}.{r.columns[0]}' for r in leading(link, parent))})).",
        )
    near = choose(leading(link, parent), sides, link, parent, where)
    far_sides = [reference for reference in leading(link, related) if reference != near]
    far = choose(far_sides, sides, link, related, where)
    child = _node(
        related,
        path,
        relation.field,
        False,
        False,
        link.table,
        column_names(link, far.columns),
        column_names(related, far.of),
        above,
    )
    up, down = column_names(link, near.columns), column_names(parent, near.of)
    require_one_type(where, parent, down, link, up)
    require_one_type(where, link, column_names(link, far.columns), related, column_names(related, far.of))
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
