"""Shapes that suggest themselves: the tables on which the most hangs, as comments to copy from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockstep.catalog import CatalogReference, CatalogTable
from lockstep.declaration.kinds import kind_of_text
from lockstep.exploration import names, style
from lockstep.exploration.naming import Named

_SHAPES = 3
_RELATIONS = 6


@dataclass(frozen=True)
class Relation:
    """A field of a shape, as it would be written."""

    field: str
    annotation: str
    said: str


def suggestions(named: Named) -> Iterator[str]:
    """Comment lines. Uncommented, every class in them is a shape that has one meaning."""
    found = [(table, _relations(table, named)) for table in named.tables if _link(table, named) is None]
    found = [(table, relations) for table, relations in found if relations]
    found.sort(key=lambda pair: -len(pair[1]))  # stable: else as the catalog has them
    if not found:
        return
    yield from style.comment(
        0,
        "A shape is a model and what hangs on it: what a mapping takes. Those of your pipeline belong beside "
        "its mappings, in pipeline.py. Some that suggest themselves here:",
    )
    taken = set(named.classes.values())
    for table, relations in found[:_SHAPES]:
        model = named.classes[table.name]
        name = f"Full{model}"
        while name in taken:
            name += "_"
        taken.add(name)
        yield "#"
        yield f"# class {name}({model}):"
        for relation in relations[:_RELATIONS]:
            yield f"#     {relation.field}: {relation.annotation}{relation.said}"


def _relations(table: CatalogTable, named: Named) -> list[Relation]:
    """What can hang on a table: whom it refers to, what refers to it, and the far ends of link tables."""
    # nor a class's name: where no case tells them apart (名), the field would hide it from what follows
    taken = {*named.fields[table.name].values(), *named.classes.values()}
    found: list[Relation] = []

    def add(wanted: str, annotation: str, said: str) -> None:
        field = names.field_name(wanted, taken)
        taken.add(field)
        found.append(Relation(field, annotation, said))

    model = named.classes[table.name]
    out = named.references(table)
    for reference in out:
        if not _relates(table, reference, named):
            continue
        to = named.classes[reference.to]
        nullable = any(
            c.nullable for c in table.columns if c.name in reference.columns and c.name not in table.key
        )
        alone = sum(other.to == reference.to for other in out) == 1
        said = "" if alone else f" = ls.one(on={_on(table, reference, named)})"
        add(_stem(reference, to), f"{to}{' | None' if nullable else ''}", said)
    for other in named.tables:
        back = [reference for reference in named.references(other) if reference.to == table.name]
        if not back:
            continue
        link = _link(other, named)
        if link is not None:
            near, far = link if link[0].to == table.name else link[::-1]
            if near.to != far.to and all(_relates(other, side, named) for side in link):
                far_class, link_class = named.classes[far.to], named.classes[other.name]
                add(_many(far_class), f"list[{far_class}]", f" = ls.many(through={link_class})")
            continue
        related = named.classes[other.name]
        alone = len(back) == 1
        for reference in back:
            if not _relates(other, reference, named):
                continue
            said = "" if alone else f" = ls.many(on={_on(other, reference, named)})"
            wanted = (
                _many(related)
                if alone and other is not table
                else f"{_many(related)}_by_{_stem(reference, model)}"
            )
            add(wanted, f"list[{related}]", said)
    return found


def _relates(table: CatalogTable, reference: CatalogReference, named: Named) -> bool:
    """Whether a shape takes this foreign key. SQLite lets a number refer to a text, and finds nothing; two
    of the same columns to one table, in whatever order, cannot be told apart."""
    same = (reference.to, set(reference.columns))
    twins = [one for one in named.references(table) if (one.to, set(one.columns)) == same]
    if len(twins) > 1:
        return False
    (to,) = (one for one in named.tables if one.name == reference.to)
    own, others = ({column.name: column.python for column in side.columns} for side in (table, to))
    for name, other in zip(reference.columns, reference.of, strict=True):
        kinds = {kind_of_text(own[name] or ""), kind_of_text(others[other] or "")}
        if None not in kinds and len(kinds) > 1:
            return False
    return True


def _link(table: CatalogTable, named: Named) -> tuple[CatalogReference, CatalogReference] | None:
    """The two sides of a table that only ties two others: two foreign keys that make up its key."""
    references = named.references(table)
    if len(references) != 2 or len({reference.to for reference in references} | {table.name}) != 3:
        return None
    sides = {column for reference in references for column in reference.columns}
    return (references[0], references[1]) if sides == set(table.key) else None


def _on(table: CatalogTable, reference: CatalogReference, named: Named) -> str:
    model, fields = named.classes[table.name], named.fields[table.name]
    spoken = [f"{model}.{fields[column]}" for column in reference.columns]
    return spoken[0] if len(spoken) == 1 else f"({', '.join(spoken)})"


def _stem(reference: CatalogReference, to: str) -> str:
    """author_id → author; the class's own name where the column says nothing."""
    if len(reference.columns) > 1:
        return names.snake(to)
    words = names.words(reference.columns[0])
    while len(words) > 1 and words[-1] in ("id", "uuid", "key", "fk", "ref", "code", "no"):
        words.pop()
    return "_".join(words) if words and words != ["id"] else names.snake(to)


def _many(model: str) -> str:
    first, _, last = names.snake(model).rpartition("_")
    return f"{first}_{names.plural(last)}" if first else names.plural(last)
