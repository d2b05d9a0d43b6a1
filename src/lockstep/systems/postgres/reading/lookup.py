"""The SQL that reads rows by the values of some columns, all of them in one statement.

Parameters are arrays of the columns' own types, so that an index over them serves. They are handed over as
the text of an array without a type: so the server takes it as a constant of the type that the cast says,
knows how many values there are, and hashes them where it reads the whole table (a cast of a text would be
compared value by value: 7 s for 5,000 keys of 12,000 rows instead of some milliseconds).

Values that no row can hold (a text where a number is, a number out of range) are left out, as they equal
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lockstep.systems.postgres.names import literal, quoted
from lockstep.systems.postgres.tables import Column, TableInfo
from lockstep.systems.postgres.types import array_literal
from lockstep.values import Fetch


def statement(info: TableInfo, fetch: Fetch) -> str:
    """SQL with one array parameter for each `by` column."""
    selected = [info.column(name).read_sql for name in fetch.columns]
    selected += [info.hash_sql(group) for group in fetch.hashes]
    by = [info.column(name) for name in fetch.by]
    return f"SELECT {', '.join(selected)} FROM {info.sql} AS t WHERE {_condition(by)}"


def sizes(info: TableInfo, fetch: Fetch) -> str:
    """SQL for how many bytes the values that `statement` reads take in the table, with its parameters."""
    each = " + ".join(f"coalesce(pg_column_size(t.{quoted(name)}), 0)" for name in fetch.columns)
    by = [info.column(name) for name in fetch.by]
    return f"SELECT coalesce(sum({each}), 0)::int8 FROM {info.sql} AS t WHERE {_condition(by)}"


def _condition(by: Sequence[Column]) -> str:
    if len(by) == 1 and by[0].known.cast == by[0].known.param:
        return f"t.{quoted(by[0].name)} = ANY($1::{by[0].known.param}[])"
    left = ", ".join(f"t.{quoted(column.name)}" for column in by)
    arrays = ", ".join(f"${place}::{column.known.param}[]" for place, column in enumerate(by, 1))
    given = ", ".join(f"c{place}" for place in range(1, len(by) + 1))
    source = f"unnest({arrays}) AS v({given})"
    values = []
    for place, column in enumerate(by, 1):
        own = column.known.own
        if own is not None:  # a text that is no value of the type cannot be cast to it
            value = f"v.c{place}::{own}"
            valid = f"pg_input_is_valid(v.c{place}, {literal(own)})"
            values.append(f"CASE WHEN {valid} THEN {value} END" if column.known.checked else value)
        elif column.known.enum is None:
            values.append(f"v.c{place}")
        else:  # a text that is no label of the enum cannot be cast to it
            label = f"e{place}"
            source += (
                f" JOIN pg_catalog.pg_enum {label} ON {label}.enumtypid = {column.known.oid}"
                f" AND {label}.enumlabel = v.c{place}"
            )
            values.append(f"{label}.enumlabel::text::{column.known.enum}")
    return f"({left}) IN (SELECT {', '.join(values)} FROM {source})"


def chunks(
    info: TableInfo, fetch: Fetch, values: Sequence[tuple[Any, ...]], size: int
) -> Iterator[list[str]]:
    """The array parameters of some values, `size` values at a time."""
    for start in range(0, len(values), size):
        given = parameters(info, fetch, values[start : start + size])
        if given is not None:
            yield given


def parameters(info: TableInfo, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> list[str] | None:
    """The array parameters of some values, None where none of them can equal anything."""
    kinds = [info.column(name).known for name in fetch.by]
    if len(kinds) == 1:
        bind = kinds[0].bind
        texts = [text for (value,) in values if (text := bind(value)) is not None]
        return [array_literal(texts, kinds[0].quoted)] if texts else None
    rows = [
        row
        for given in values
        if None not in (row := [kind.bind(value) for kind, value in zip(kinds, given, strict=True)])
    ]
    if not rows:
        return None
    return [
        array_literal([text for text in texts if text is not None], kind.quoted)
        for kind, texts in zip(kinds, zip(*rows, strict=True), strict=True)
    ]
