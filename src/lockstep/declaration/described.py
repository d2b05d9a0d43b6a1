"""A model or shape as its annotations say it: its columns, its relations, its foreign keys; not resolved yet.

Read on first use, so that forward references and circles resolve.
"""

from __future__ import annotations

import builtins
import datetime as dt
import functools
import inspect
import operator
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ForwardRef, Union, get_args, get_origin
from uuid import UUID

from lockstep.declaration.model import Model, ModelMeta, Reference, Said, classes
from lockstep.errors import DeclarationError


@dataclass(frozen=True)
class Column:
    """A column of a model: its field, its name in the table, and what was said of it."""

    field: str
    name: str
    type: Any
    nullable: bool
    key: bool
    ref: str | None
    data_class: str | None

    @property
    def python(self) -> str | None:
        """The type as `lockstep explore` writes it; None where the annotation is another."""
        parts = get_args(self.type) if self.nullable else (self.type,)
        plain = [part for part in parts if part is not type(None)]
        if len(plain) != 1:
            return None
        if get_origin(plain[0]) is list:
            of = _PYTHON.get(get_args(plain[0])[0])
            return of and f"list[{of}]"
        return _PYTHON.get(plain[0])


_PYTHON: dict[Any, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "Decimal",
    str: "str",
    UUID: "UUID",
    bytes: "bytes",
    dt.date: "dt.date",
    dt.time: "dt.time",
    dt.datetime: "dt.datetime",
    dt.timedelta: "dt.timedelta",
}


@dataclass(frozen=True)
class RelationField:
    """A relation as annotated, not resolved yet."""

    field: str
    to: type[Model]
    many: bool
    optional: bool
    said: Said


@dataclass(frozen=True)
class Described:
    """A class's fields in the order of its constructor."""

    cls: type[Model]
    table: str
    fields: tuple[Column | RelationField, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(field for field in self.fields if isinstance(field, Column))

    @property
    def relations(self) -> tuple[RelationField, ...]:
        return tuple(field for field in self.fields if isinstance(field, RelationField))

    @property
    def key(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.key)

    def column(self, field: str) -> Column:
        for candidate in self.columns:
            if candidate.field == field:
                return candidate
        known = ", ".join(column.field for column in self.columns)
        raise DeclarationError(f"{self.cls.__name__} has no column {field!r}", f"Its columns are {known}.")

    def references(self) -> tuple[Reference, ...]:
        """Every foreign key, from `ls.ref` and from `references=`, each once."""
        found: list[Reference] = []
        for column in self.columns:
            if column.ref is not None:
                to, _, field = column.ref.rpartition(".")
                if not to:
                    raise DeclarationError(
                        f"{self.cls.__name__}.{column.field}: {column.ref!r} names no field of a model",
                        'Write it as ls.ref("Company.id").',
                    )
                found.append(Reference((column.field,), to, (field,)))
        for base in self.cls.__mro__:
            found.extend(base.__dict__.get("__references__", ()))
        return tuple(dict.fromkeys(found))

    def declares(self, reference: Reference) -> type[Model]:
        """The class that declares a foreign key: its names mean what they mean there."""
        for base in self.cls.__mro__:
            said = base.__dict__.get("__said__", {}).get(reference.columns[0], Said())
            if reference in base.__dict__.get("__references__", ()) or said.ref is not None:
                return base
        return self.cls


_described: dict[type[Model], Described] = {}


def describe(cls: type[Model]) -> Described:
    """The fields of a model or shape. Raises DeclarationError where the annotations have no one meaning."""
    if cls not in _described:
        _described[cls] = _describe(cls)
    return _described[cls]


def _describe(cls: type[Model]) -> Described:
    table = getattr(cls, "__table__", None)
    if table is None:
        raise DeclarationError(
            f"{cls.__name__} names no table",
            f'Write class {cls.__name__}(ls.Model, table="…"), or derive it from a model that has one.',
        )
    said: dict[str, Said] = {}
    for base in reversed(cls.__mro__):
        said.update(base.__dict__.get("__said__", {}))
    hints = _hints(cls)
    order = cls.__struct_fields__  # type: ignore[attr-defined]
    fields = tuple(_field(cls, name, hints[name], said.get(name, Said())) for name in order)
    described = Described(cls, table, fields)
    if not described.key:
        raise DeclarationError(f"{cls.__name__} has no key", "Mark its key column: `id: int = ls.key()`.")
    return described


def _field(cls: type[Model], name: str, hint: Any, said: Said) -> Column | RelationField:
    is_list = get_origin(hint) is list
    is_union = get_origin(hint) in (Union, types.UnionType)
    parts = get_args(hint) if is_list or is_union else (hint,)
    models = [part for part in parts if isinstance(part, type) and issubclass(part, Model)]
    if models or any(map(_mentions_model, parts)):
        optional = type(None) in parts
        plain = len(models) == 1 and len(parts) == 1 + optional and not (is_list and optional)
        if not plain or said.many not in (None, is_list):
            raise DeclarationError(
                f"{cls.__name__}.{name}: {_show(hint)} does not name one related model",
                "Annotate it as Company, Company | None, or list[Company]"
                + ("; ls.many() goes with a list." if said.many else "."),
            )
        return RelationField(name, models[0], is_list, optional, said)
    if said.of_relation:
        raise DeclarationError(
            f"{cls.__name__}.{name}: {_show(hint)} is no model, so it cannot be a relation",
            "Annotate it with a model, or take ls.one()/ls.many() away.",
        )
    nullable = is_union and type(None) in parts
    return Column(name, said.name or name, hint, nullable, said.key, said.ref, said.data_class)


def _mentions_model(hint: Any) -> bool:
    if isinstance(hint, type) and get_origin(hint) is None:
        return issubclass(hint, Model)
    return any(map(_mentions_model, get_args(hint)))


def _show(hint: Any) -> str:
    """An annotation as a person wrote it, without modules."""
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join(map(_show, get_args(hint)))
    if get_origin(hint) is not None:
        return f"{_show(get_origin(hint))}[{', '.join(map(_show, get_args(hint)))}]"
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _hints(cls: type[Model]) -> dict[str, Any]:
    """The annotations of a class, evaluated where each was written."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not isinstance(base, ModelMeta):
            continue
        scope = _Scope(base)  # type: ignore[arg-type]
        for name, annotation in inspect.get_annotations(base).items():
            try:
                found[name] = _evaluated(annotation, scope)
            except Exception as error:
                raise DeclarationError(
                    f"{base.__name__}.{name}: the annotation {annotation!r} means nothing here: {error}",
                    "Import the name, or correct it.",
                ) from error
    return found


def _evaluated(annotation: Any, scope: _Scope) -> Any:
    """An annotation with its forward references resolved, those inside a list or a union too."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return _evaluated(eval(annotation, {}, scope), scope)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is not list and origin not in (Union, types.UnionType):
        return annotation
    resolved = tuple(_evaluated(part, scope) for part in parts)
    if resolved == parts:
        return annotation
    return list[resolved] if origin is list else functools.reduce(operator.or_, resolved)  # type: ignore[valid-type]


class _Scope(Mapping[str, Any]):
    """The names an annotation can use: its module's, then those of the function it stands in."""

    def __init__(self, cls: type[Model]) -> None:
        module = sys.modules.get(cls.__module__)
        self._globals = vars(module) if module else {}
        self._module = cls.__module__
        self._prefix = cls.__qualname__.rpartition(".")[0]

    def __getitem__(self, name: str) -> Any:
        prefix = self._prefix
        while prefix:
            if (self._module, f"{prefix}.{name}") in classes:
                return classes[self._module, f"{prefix}.{name}"]
            prefix = prefix.rpartition(".")[0]
        if name in self._globals:
            return self._globals[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        if (self._module, name) in classes:
            return classes[self._module, name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._globals)

    def __len__(self) -> int:
        return len(self._globals)


def model_named(name: str, near: type[Model]) -> type[Model]:
    """The model that a reference of `near` names: in its module, or one imported there."""
    for base in near.__mro__:
        if isinstance(base, ModelMeta):
            scope = _Scope(base)  # type: ignore[arg-type]
            found = scope.get(name)
            if isinstance(found, type) and issubclass(found, Model):
                return found
    raise DeclarationError(
        f"{near.__name__} refers to a model {name!r} that is not there",
        f"Define or import {name} in {near.__module__}, or correct the reference.",
    )
