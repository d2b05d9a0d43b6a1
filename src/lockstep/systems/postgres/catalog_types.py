"""Types as the server's catalog has them: built-in ones are known, others are made of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lockstep.systems.postgres import types
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.types import Type

# The types of some columns, and all that these are made of.
_SQL = """
WITH RECURSIVE needed(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT part.oid FROM needed n JOIN pg_type t ON t.oid = n.oid CROSS JOIN LATERAL (
    SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
    UNION ALL SELECT e.oid FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    UNION ALL SELECT a.atttypid FROM pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) part)
SELECT t.oid::int8, t.typtype::text, t.typbasetype::int8, t.typrelid::int8,
       (SELECT e.oid::int8 FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid),
       (SELECT r.rngsubtype::int8 FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)),
       format_type(t.oid, NULL), quote_ident(n.nspname) || '.' || quote_ident(t.typname), t.typname::text,
       t.typoutput::regproc::text, nullif(t.typsend::oid, 0)::regproc::text, t.typdelim::text,
       n.nspname = 'pg_catalog' AND EXISTS (
         SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
         WHERE o.opcdefault AND m.amname = 'btree' AND (o.opcintype = t.oid OR EXISTS (
           SELECT FROM pg_cast c WHERE c.castsource = t.oid AND c.casttarget = o.opcintype
             AND c.castmethod = 'b' AND c.castcontext = 'i'))),
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT array_agg(a.atttypid::int8 ORDER BY a.attnum) FROM pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN (SELECT oid FROM needed)"""


class _Row(NamedTuple):
    """A type as the catalog has it. `shown` and `sql` are its name; `element` of an array, `bound` of a
    range; `ordered`: the server's own, with a btree order."""

    oid: int
    kind: str
    base: int
    relation: int
    element: int | None
    bound: int | None
    shown: str
    sql: str
    plain: str
    output: str
    send: str | None
    delimiter: str
    ordered: bool
    fields: list[str] | None
    of: list[int] | None


class Types:
    """Some types by oid, with all that they are made of; None for one without exact form."""

    def __init__(self, connection: Connection, wanted: Iterable[int]) -> None:
        self._known: dict[int, Type | None] = {**types.BY_OID, **types.builtin_arrays()}
        self._checked = connection.info.server_version >= 160_000  # has pg_input_is_valid
        asked = [oid for oid in wanted if oid not in self._known]
        rows = connection.execute(_SQL.encode(), [asked]).fetchall() if asked else []
        self._rows = {row[0]: _Row(*row) for row in rows}

    def __call__(self, oid: int) -> Type | None:
        if oid not in self._known:
            row = self._rows.get(oid)
            self._known[oid] = None if row is None else self._made(row)
        return self._known[oid]

    def _made(self, row: _Row) -> Type | None:
        match row.kind:
            case "e":
                return types.enum(row.oid, row.shown)
            case "d":
                return self(row.base)
            case "c":
                fields = [(name, self(oid)) for name, oid in zip(row.fields or (), row.of or (), strict=True)]
                known = [(name, type_) for name, type_ in fields if type_ is not None]
                return types.composite(row.oid, row.shown, row.relation, known)
            case "r" | "m" if row.bound is not None and (bound := self(row.bound)) is not None:
                return (types.span if row.kind == "r" else types.spans)(row.oid, row.shown, bound)
        if row.element is not None:
            element = self._rows.get(row.element)
            of = self(row.element)
            domain = element is not None and element.kind == "d"
            return None if of is None else types.array(of, row.oid, of_domain=domain)
        if row.kind != "b":
            return None
        if row.plain == "hstore" and row.output.endswith("hstore_out"):
            return types.hstore(row.oid, row.shown)
        made = types.textual(
            row.oid,
            row.sql,
            out=row.output,
            send=row.send,
            keyable=row.ordered,
            checked=self._checked,
            delimiter=row.delimiter,
        )
        return types.citext(made) if row.plain == "citext" else made
