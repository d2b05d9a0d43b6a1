"""The SQL that sums a shape's rows inside the server, for all spans of root keys at once.

A shape is summed in *runs*, a statement each: the root, or a table of which many rows may hang on one above,
and with it all that is found from its rows by a unique key. So each table with many rows is read once, and
what ties the rows that lie side by side to their root is one expression.

A run below the root begins at the root and is joined down to its table, unless the table's foreign key names
the root itself: then the key is in the table, and with it the span and the hash.

What is hashed, is hashed in a subquery with an OFFSET of 0, which the planner does not pull up: else it
would hash again wherever the hash is used. The 0 is a constant of the type that OFFSET has. Of another type
it would be an expression to the planner when it decides whether what lies above may be worked in parallel,
and one process would join and add up all rows. A span is found by a balanced tree of comparisons: some ten
for each row, whatever the types of the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.forms.canonical import MASK31, halves, wrap64
from lockstep.systems.postgres.names import literal, quoted
from lockstep.systems.postgres.tables import Column, TableInfo
from lockstep.values import Branch, Key, Span, Tally

_LOW = (1 << 32) - 1
_NONE = "bigint '0'"

Infos = Mapping[str, TableInfo]
References = frozenset[tuple[int, int, tuple[tuple[str, str], ...]]]
"""Valid foreign keys: the oid of the table, of that which it names, and the pairs of columns."""

REFERENCES = """
SELECT c.conrelid::int8, c.confrelid::int8, array_agg(a.attname::text ORDER BY k.n),
       array_agg(f.attname::text ORDER BY k.n)
FROM pg_constraint c
CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(own, other, n)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other
WHERE c.contype = 'f' AND c.convalidated AND c.conrelid = ANY($1::oid[]) AND c.confrelid = ANY($1::oid[])
GROUP BY c.oid, c.conrelid, c.confrelid"""


def references(rows: Sequence[tuple[Any, ...]]) -> References:
    """The answer of `REFERENCES`."""
    return frozenset((own, other, tuple(zip(names, named, strict=True))) for own, other, names, named in rows)


@dataclass
class _Part:
    """A table of a run. `above`: the part that leads to it. `counts`: whether its rows are summed here."""

    branch: Branch
    above: int | None
    counts: bool
    always: bool  # whether a row above without one here counts nothing


@dataclass
class _Run:
    """Tables joined to each other. `key`: the columns of the first that are the root's key."""

    parts: list[_Part]
    key: tuple[str, ...]


def sums_sql(infos: Infos, named: References, root: Branch, cuts: Sequence[Key], within: Span) -> list[str]:
    """Statements for (span, roots, sum of numbers), spans without rows left out. What all say adds up."""
    made = []
    for run in _runs(infos, named, root):
        key = _ordered(infos, run) if cuts else []
        span = _span_of(key, [_bound(key, cut) for cut in cuts], 0, len(cuts))
        count = "count(*)" if run.parts[0].branch is root and run.parts[0].counts else "0::int8"
        total = " + ".join(f"sum({one})" for one in _mixed(run))
        rows = _from(infos, run, f"{span} AS b", _inside(infos, run, within))
        made.append(f"SELECT b, {count}, {total} FROM {rows} GROUP BY b")
    return made


def numbers_sql(infos: Infos, named: References, root: Branch, span: Span) -> str:
    """SQL for the key columns and the number of every root in a span."""
    runs = _runs(infos, named, root)
    names = ", ".join(f"k{n}" for n in range(len(root.table.key)))
    parts = []
    for run in runs:
        columns = [infos[run.parts[0].branch.table.name].column(name) for name in run.key]
        shown = ", ".join(f"{column.read_sql} AS k{n}" for n, column in enumerate(columns))
        rows = _from(infos, run, shown, _inside(infos, run, span))
        mixed = _mixed(run)
        if len(runs) == 1 and len(mixed) == 1:
            return f"SELECT {names}, {mixed[0]} FROM {rows}"
        halved = (
            " + ".join(f"({one} >> 32)" for one in mixed),
            " + ".join(f"({one} & {_LOW})" for one in mixed),
        )
        parts.append(f"SELECT {names}, {halved[0]} AS x, {halved[1]} AS y FROM {rows}")
    if len(parts) == 1:
        return f"SELECT {names}, x::numeric * {_LOW + 1} + y FROM ({parts[0]}) p"
    return (
        f"SELECT {names}, sum(x) * {_LOW + 1} + sum(y) FROM ({' UNION ALL '.join(parts)}) p GROUP BY {names}"
    )


def tallied(rows: Sequence[tuple[Any, ...]], spans: int) -> list[Tally]:
    """The answers of `sums_sql`, span by span."""
    counts, totals = [0] * spans, [0] * spans
    for at, count, total in rows:
        counts[at] += count
        totals[at] += int(total)
    return [Tally(count, wrap64(total)) for count, total in zip(counts, totals, strict=True)]


# What is read together


def _runs(infos: Infos, named: References, root: Branch) -> list[_Run]:
    found: list[_Run] = []

    def begin(trail: tuple[Branch, ...]) -> None:
        key, first = root.table.key, 0
        if len(trail) > 1 and (short := _key_in(infos, named, root, trail[1])) is not None:
            key, first = short, 1
        run = _Run([], key)
        found.append(run)
        for place, branch in enumerate(trail[first:]):
            last = place == len(trail) - first - 1
            run.parts.append(_Part(branch, place - 1 if place else None, last, True))
        gather(run, trail)

    def gather(run: _Run, trail: tuple[Branch, ...]) -> None:
        above = len(run.parts) - 1
        for child in trail[-1].below:
            if _unique(infos[child.table.name], child.up):
                run.parts.append(_Part(child, above, True, False))
                gather(run, (*trail, child))
            else:
                begin((*trail, child))

    begin((root,))
    return found


def _unique(info: TableInfo, columns: Sequence[str]) -> bool:
    """Whether at most one row has given values of these columns."""
    return any(index.unique and set(index.columns) <= set(columns) for index in info.indexes)


def _key_in(infos: Infos, named: References, root: Branch, child: Branch) -> tuple[str, ...] | None:
    """The columns of a child that are its root's key, as a foreign key says; None where none does."""
    own, above = infos[child.table.name], infos[root.table.name]
    pairs = dict(zip(child.down, child.up, strict=True))
    if set(pairs) != set(root.table.key):
        return None
    columns = tuple(pairs[name] for name in root.table.key)
    for name, column in zip(root.table.key, columns, strict=True):
        if above.column(name).label != own.column(column).label or not own.column(column).hashed_alike:
            return None
    wanted = {(up, down) for down, up in pairs.items()}
    if any(a == own.oid and b == above.oid and set(said) == wanted for a, b, said in named):
        return columns
    return None


# A run as SQL


def _mixed(run: _Run) -> list[str]:
    """`canonical.mix` of each of the rows that are side by side in one row of the run: each fits 63 bits."""
    found = []
    for n, part in enumerate(run.parts):
        if not part.counts:
            continue
        high, low = halves(part.branch.constant)
        row = f"t{n}.v" if part.always else f"coalesce(t{n}.v, 0)"
        found.append(
            f"(((t0.h >> 32 & {MASK31}) # {high}) * ({row} & {MASK31})"
            f" + ((t0.h & {MASK31}) # {low}) * ({row} >> 32 & {MASK31}))"
        )
    return found


def _from(infos: Infos, run: _Run, shown: str, inside: str = "") -> str:
    text = ""
    for n, part in enumerate(run.parts):
        below = [(m, other.branch) for m, other in enumerate(run.parts) if other.above == n]
        own = (shown, inside) if not n else ("", "")
        rows = f"{_rows(infos, run, part, below, *own)} t{n}"
        if part.above is None:
            text = rows
            continue
        equal = " AND ".join(f"t{part.above}.d{n}_{i} = t{n}.u{i}" for i in range(len(part.branch.up)))
        text += f" {'' if part.always else 'LEFT '}JOIN {rows} ON {equal}"
    return text


def _rows(
    infos: Infos, run: _Run, part: _Part, below: Sequence[tuple[int, Branch]], shown: str, inside: str
) -> str:
    """A table's rows: `u…` leads to them, `d…` to those below; `v` is their hash, `h` the root key's."""
    info = infos[part.branch.table.name]
    columns = [shown] if shown else []
    conditions = [inside] if inside else []
    if part.above is None:
        key = [info.column(name) for name in run.key]
        columns.append(f"{info.hash_sql(run.key)} AS h")
        conditions += [f"t.{quoted(column.name)} IS NOT NULL" for column in key if not column.not_null]
    else:
        columns += [f"t.{quoted(name)} AS u{i}" for i, name in enumerate(part.branch.up)]
    for m, child in below:
        columns += [f"t.{quoted(name)} AS d{m}_{i}" for i, name in enumerate(child.down)]
    if part.counts:
        columns.append(f"{info.hash_sql(part.branch.table.columns)} AS v")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"(SELECT {', '.join(columns)} FROM {info.sql} AS t{where} OFFSET {_NONE})"


# Spans


class _Ordered(NamedTuple):
    """A column of the root's key, as SQL whose order is that of key bytes, and what a bound is cast to."""

    column: Column
    sql: str
    cast: str


def _ordered(infos: Infos, run: _Run) -> list[_Ordered]:
    """The columns of the root's key. Raises CannotSum."""
    found = []
    for name in run.key:
        column = infos[run.parts[0].branch.table.name].column(name)
        known = column.known
        if known.by_value:
            found.append(_Ordered(column, f"t.{quoted(name)}", known.cast))
        elif known.by_value is None:
            found.append(_Ordered(column, f't.{quoted(name)} COLLATE "C"', known.cast))
        elif known.python == "str":  # an enum, and whatever else is a text to us
            found.append(_Ordered(column, f'({column.read_sql}) COLLATE "C"', "text"))
        else:
            raise CannotSum(f"the server does not order {column.label} as keys are ordered")
    return found


def _bound(key: Sequence[_Ordered], cut: Key) -> str:
    """A key as the right side of a comparison of rows. Raises CannotSum for one that does not fit."""
    values = keys.decode(cut)
    if len(values) != len(key):
        raise CannotSum(f"{keys.text(cut)} is no key of this table")
    parts = []
    for one, value in zip(key, values, strict=True):
        text = one.column.known.bind(value)
        if text is None:
            raise CannotSum(f"{keys.text(cut)} is no key that {one.column.name} can hold")
        parts.append(f"{literal(text)}::{one.cast}")
    return f"({', '.join(parts)})"


def _span_of(key: Sequence[_Ordered], bounds: Sequence[str], low: int, high: int) -> str:
    """SQL for the number of the span, among low…high, that a row is in."""
    if low == high:
        return str(low)
    middle = (low + high) // 2
    lower = _span_of(key, bounds, low, middle)
    upper = _span_of(key, bounds, middle + 1, high)
    return f"CASE WHEN {_left(key)} <= {bounds[middle]} THEN {lower} ELSE {upper} END"


def _left(key: Sequence[_Ordered]) -> str:
    return f"({', '.join(one.sql for one in key)})"


def _inside(infos: Infos, run: _Run, span: Span) -> str:
    parts = []
    if span.after is not None or span.upto is not None:
        key = _ordered(infos, run)
        parts += [f"{_left(key)} > {_bound(key, span.after)}"] if span.after is not None else []
        parts += [f"{_left(key)} <= {_bound(key, span.upto)}"] if span.upto is not None else []
    return " AND ".join(parts)
