"""Models and shapes: typed classes whose annotations are the declaration.

A *model* is a record type of a system, written by `lockstep explore`:

    class User(ls.Model, table="public.users"):
        id: int = ls.key()
        company_id: int | None = ls.ref("Company.id")
        email: str = ls.personal("email")

A *shape* is a model and what hangs on it, written by a person:

    class Person(User):
        company: Company | None                     # found by foreign key
        tags: list[Tag] = ls.many(through=UserTag)  # said only where it cannot be inferred

The type checker sees a frozen dataclass with keyword arguments and every field required. At run time
it is a frozen msgspec struct, built positionally: 0.1 µs an instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    dataclass_transform,
)

from lockstep.errors import DeclarationError

if TYPE_CHECKING:  # msgspec.Struct carries its own dataclass_transform, and the nearest one wins: hide it

    class StructMeta(type): ...

    class Struct: ...
else:
    from msgspec import Struct, StructMeta


@dataclass(frozen=True)
class Said:
    """What an annotation alone cannot say of a field."""

    many: bool | None = None
    through: type[Model] | None = None
    on: Any = None
    key: bool = False
    ref: str | None = None
    name: str | None = None
    data_class: str | None = None

    @property
    def of_relation(self) -> bool:
        return self.many is not None


def many(*, through: type[Model] | None = None, on: Any = None) -> list[Any]:
    """A relation to several records.

    `through`: the link table's model. `on`: the foreign key's field, as `Message.author_id`, where more
    than one leads here; a tuple for composite keys; for a link table the fields of both its sides.
    """
    return Said(many=True, through=through, on=on)  # type: ignore[return-value]


def one(*, on: Any = None) -> Any:
    """A relation to one record. `on`: the foreign key's field, where more than one leads there."""
    return Said(many=False, on=on)


def key(*, ref: str | None = None, name: str | None = None, personal: str | None = None) -> Any:
    """A column of the primary key."""
    return Said(key=True, ref=ref, name=name, data_class=personal)


def ref(to: str, *, name: str | None = None) -> Any:
    """A foreign key column: `ls.ref("Company.id")`."""
    return Said(ref=to, name=name)


def personal(data_class: str, *, name: str | None = None) -> Any:
    """A column that holds personal data of a class: `ls.personal("email")`."""
    return Said(data_class=data_class, name=name)


def column(name: str) -> Any:
    """A column whose name in the table is not the field's: `ls.column("Album Id")`."""
    return Said(name=name)


@dataclass(frozen=True)
class Reference:
    """A foreign key of several columns, for `class X(ls.Model, references=[...])`.

    `columns` are field names here, `to` is the model's name, `of` are its field names.
    """

    columns: tuple[str, ...]
    to: str
    of: tuple[str, ...]


classes: dict[tuple[str, str], type[Model]] = {}
"""Every model there is, by module and qualified name: what annotations may name."""

_NO_DEFAULTS = "Take defaults away: every field of a model comes from the source."


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(one, many, key, ref, personal, column),
)
class ModelMeta(StructMeta):
    """Takes the `Said` defaults off the class, so that every field is required and positional."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        table: str | None = None,
        references: list[Reference] | tuple[Reference, ...] = (),
        **options: Any,
    ) -> ModelMeta:
        said = {field: value for field, value in namespace.items() if isinstance(value, Said)}
        body = {field: value for field, value in namespace.items() if field not in said}
        try:
            cls = super().__new__(mcls, name, bases, body, frozen=True, **options)
        except TypeError as error:
            raise DeclarationError(f"{name}: {error}", _NO_DEFAULTS) from error
        if defaults := cls.__struct_defaults__:  # type: ignore[attr-defined]
            field = cls.__struct_fields__[-len(defaults)]  # type: ignore[attr-defined]
            raise DeclarationError(f"{name}.{field} has a default", _NO_DEFAULTS)
        cls.__said__ = said  # type: ignore[attr-defined]
        cls.__references__ = tuple(references)  # type: ignore[attr-defined]
        if table is not None:
            cls.__table__ = table  # type: ignore[attr-defined]
        classes[cls.__module__, cls.__qualname__] = cls  # type: ignore[assignment]
        return cls


class Model(Struct, metaclass=ModelMeta):
    """The base of all models and shapes."""

    if TYPE_CHECKING:
        __table__: ClassVar[str]
        __said__: ClassVar[dict[str, Said]]
        __references__: ClassVar[tuple[Reference, ...]]
