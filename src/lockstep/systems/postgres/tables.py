"""What the server's catalog says of tables: columns with their types, keys and indexes.

Everything here is read from pg_catalog in a handful of statements, for some tables or for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lockstep.errors import DataError, Refused
from lockstep.systems.postgres import names, row_hash
from lockstep.systems.postgres.catalog_types import Types
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.names import quoted
from lockstep.systems.postgres.types import Type
from lockstep.values import Table


@dataclass(frozen=True)
class Column:
    """A column. `type` is None where Lockstep has no exact form for it. `label`: the type as declared.
    `dimensions`: of an array, as declared; the server does not enforce them."""

    name: str
    label: str
    type: Type | None
    dimensions: int
    not_null: bool
    generated: bool
    deterministic: bool
    comment: str | None

    @property
    def known(self) -> Type:
        if self.type is None:
            raise DataError(
                f"column {self.name} is of type {self.label}, which has no exact form in Python yet",
                "Leave the column out of the model, or give it another type (a view of it will not do).",
            )
        return self.type

    @property
    def python(self) -> str | None:
        """The annotation of its values."""
        if self.type is None or not self.type.array:
            return None if self.type is None else self.type.python
        return "list[" * (self.dimensions - 1) + self.type.python + "]" * (self.dimensions - 1)

    @property
    def read_sql(self) -> str:
        return self.known.read.replace("{}", f"t.{quoted(self.name)}")

    @property
    def hashed_alike(self) -> bool:
        """Whether what is equal in two columns declared so has one hash: 1.0 and 1.00 have two, as have a
        float's 0 and -0, and texts that a collation takes for equal."""
        rounded = self.known.name != "numeric" or self.label.startswith("numeric(")
        return rounded and self.known.name not in ("float4", "float8") and self.deterministic

    def hash_sql(self, seed: int) -> str:
        """See `row_hash`."""
        return row_hash.cell(self.known.name, f"t.{quoted(self.name)}", seed, self.known.sum)


@dataclass(frozen=True)
class Index:
    """A btree index over columns alone, not partial.

    `bytewise`, for each column: its texts compare by bytes. `identity`: declared as the replica identity.
    `plain`: with the columns' own collations and default operators, so that ORDER BY can use it.
    """

    name: str
    columns: tuple[str, ...]
    bytewise: tuple[bool, ...]
    descending: tuple[bool, ...]
    unique: bool
    immediate: bool
    primary: bool
    identity: bool
    plain: bool


@dataclass(frozen=True)
class TableInfo:
    """A table. `kind`, `persistence`, `identity`: the catalog's relkind, relpersistence, relreplident."""

    oid: int
    schema: str
    table: str
    kind: str
    persistence: str
    identity: str
    estimate: int
    comment: str | None
    columns: dict[str, Column]
    indexes: tuple[Index, ...]

    @property
    def name(self) -> str:
        return names.written(self.schema, self.table)

    @property
    def sql(self) -> str:
        """The table for FROM: without tables that inherit from it, but with its partitions."""
        only = "" if self.kind == "p" else "ONLY "
        return f"{only}{quoted(self.schema)}.{quoted(self.table)}"

    @property
    def relations(self) -> tuple[int, ...]:
        """The relations that say what its rows are: its own, and those of composite types in it."""
        parts = (part for column in self.columns.values() if column.type for part in column.type.parts)
        return tuple(dict.fromkeys((self.oid, *parts)))

    @property
    def identity_columns(self) -> frozenset[str]:
        """The columns whose old values are in the log."""
        if self.identity == "f":
            return frozenset(self.columns)
        for index in self.indexes:
            named = index.primary if self.identity == "d" else self.identity == "i" and index.identity
            if named and index.immediate:  # a deferrable key identifies nothing in the log
                return frozenset(index.columns)
        return frozenset()

    @property
    def identity_words(self) -> str:
        """The replica identity as ALTER TABLE calls it."""
        return {"f": "FULL", "n": "NOTHING", "i": "USING INDEX"}.get(self.identity, "DEFAULT")

    def unlogged(self, table: Table) -> list[str]:
        """The key and join columns whose old values the log does not hold."""
        return [name for name in (*table.key, *table.joins) if name not in self.identity_columns]

    def identity_mend(self, table: Table) -> str:
        """The ALTER TABLE that makes the log hold them: the narrowest identity that has all of them."""
        needed = {*table.key, *table.joins}
        fitting = [
            index
            for index in self.indexes
            if index.unique
            and index.immediate
            and needed <= set(index.columns)
            and all(self.columns[name].not_null for name in index.columns)
        ]
        best = min(fitting, key=lambda index: (not index.primary, len(index.columns)), default=None)
        identity = (
            "FULL" if best is None else "DEFAULT" if best.primary else f"USING INDEX {quoted(best.name)}"
        )
        return f"ALTER TABLE {quoted(self.schema)}.{quoted(self.table)} REPLICA IDENTITY {identity};"

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key, else the smallest unique index without nulls; empty where there is neither."""
        unique = [
            index.columns
            for index in self.indexes
            if index.primary or (index.unique and all(self.columns[name].not_null for name in index.columns))
        ]
        primary = [index.columns for index in self.indexes if index.primary]
        return (primary or sorted(unique, key=len) or [()])[0]

    def hash_sql(self, names: Sequence[str]) -> str:
        """SQL for the hash of these columns of a row of `t`. See `row_hash`."""
        return row_hash.of_cells([self.column(name).hash_sql(n) for n, name in enumerate(names, 1)])

    def column(self, name: str) -> Column:
        """A column that a model names. Raises where it is not there or of a type without exact form."""
        column = self.columns.get(name)
        if column is None:
            raise Refused(f"table {self.name} has no column {name!r}", "Run `lockstep check`.")
        if column.type is None:
            raise DataError(
                f"{self.name}.{name} is of type {column.label}, which has no exact form in Python yet",
                "Leave the column out of the model.",
            )
        return column


_TABLES = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       c.relreplident::text, c.reltuples::float8, obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE """
_NAMED = """(n.nspname::text, c.relname::text) IN (SELECT * FROM unnest($1::text[], $2::text[]))
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
_ALL = """c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C" """

# Which collations compare by bytes: "C", and the builtin provider's (17 and later). The database's own
# counts as the one it was made with. In another encoding than UTF-8 the bytes are others.
COLLATIONS = """
WITH own AS (
  SELECT to_jsonb(d) ->> 'datlocprovider' AS provider, d.datcollate::text AS name,
         pg_encoding_to_char(d.encoding) IN ('UTF8', 'SQL_ASCII', 'LATIN1') AS fits
  FROM pg_database d WHERE d.datname = current_database()),
bytewise AS (
  SELECT c.oid, c.collisdeterministic, own.fits AND CASE c.collprovider
      WHEN 'd' THEN coalesce(own.provider, 'c') = 'b'
                    OR (coalesce(own.provider, 'c') = 'c' AND own.name IN ('C', 'POSIX'))
      WHEN 'b' THEN true
      WHEN 'c' THEN c.collcollate IN ('C', 'POSIX')
      ELSE false END AS yes
  FROM pg_collation c CROSS JOIN own)
"""
_COLUMNS = (
    COLLATIONS
    + """
SELECT a.attrelid::int8, a.attname::text, format_type(a.atttypid, a.atttypmod), a.atttypid::int8,
       a.attndims::int4, a.attnotnull AND NOT EXISTS (  -- one that is not validated yet has let nulls be
           SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
           AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated),
       a.attgenerated <> '', coalesce(b.collisdeterministic, true),
       col_description(a.attrelid, a.attnum)
FROM pg_attribute a LEFT JOIN bytewise b ON b.oid = a.attcollation
WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum"""
)
_INDEXES = (
    COLLATIONS
    + """
SELECT i.indrelid::int8, ic.relname::text, array_agg(a.attname::text ORDER BY k.n),
       array_agg(coalesce(b.yes, true) ORDER BY k.n), array_agg(k.opt & 1 = 1 ORDER BY k.n),
       i.indisunique, i.indimmediate, i.indisprimary, i.indisreplident,
       bool_and(o.opcdefault AND k.coll IN (0, a.attcollation))
FROM pg_index i
JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[], i.indoption::int2[], i.indclass::oid[])
  WITH ORDINALITY AS k(attnum, coll, opt, class, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
JOIN pg_opclass o ON o.oid = k.class
LEFT JOIN bytewise b ON b.oid = k.coll
WHERE i.indrelid = ANY($1::oid[]) AND k.n <= i.indnkeyatts
  AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indrelid, i.indexrelid, ic.relname
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid"""
)


def load(connection: Connection, wanted: Iterable[str] | None = None) -> dict[str, TableInfo]:
    """What the catalog says of some tables, or of all, by the name they were asked for with."""
    if wanted is None:
        found = connection.execute((_TABLES + _ALL).encode()).fetchall()
        asked = {}
    else:
        asked = {names.parse(name): name for name in wanted}
        schemas, tables = [part for part, _ in asked], [part for _, part in asked]
        found = connection.execute((_TABLES + _NAMED).encode(), [schemas, tables]).fetchall()
    oids = [row[0] for row in found]
    listed = connection.execute(_COLUMNS.encode(), [oids]).fetchall()
    resolve = Types(connection, {row[3] for row in listed})
    columns: dict[int, dict[str, Column]] = {oid: {} for oid in oids}
    for oid, name, label, type_oid, dimensions, *rest in listed:
        columns[oid][name] = Column(name, label, resolve(type_oid), dimensions, *rest)
    indexes: dict[int, list[Index]] = {oid: [] for oid in oids}
    for oid, name, over, bytewise, descending, *rest in connection.execute(
        _INDEXES.encode(), [oids]
    ).fetchall():
        indexes[oid].append(Index(name, tuple(over), tuple(bytewise), tuple(descending), *rest))
    infos = {}
    for oid, schema, table, kind, persistence, identity, estimate, comment in found:
        info = TableInfo(
            oid,
            schema,
            table,
            kind,
            persistence,
            identity,
            int(estimate),
            comment,
            columns[oid],
            tuple(indexes[oid]),
        )
        infos[asked.get((schema, table), info.name)] = info
    return infos
