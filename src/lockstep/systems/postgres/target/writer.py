"""PostgreSQL as a target of the SQL writer. How columns hold values is in `cells`.

One writer at a time: each batch holds an advisory lock of its table until it commits, so that the versions it
compares with are those it writes over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from lockstep.errors import CannotSum, LockstepError
from lockstep.rowsets import among, arrays, insert_of
from lockstep.systems.postgres import names, row_hash
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.tables import COLLATIONS
from lockstep.systems.postgres.target.cells import codec, declared, is_text
from lockstep.systems.postgres.target.copier import PostgresCopier
from lockstep.systems.postgres.target.kept import kept
from lockstep.systems.postgres.target.rejections import AGAIN, meaning
from lockstep.systems.postgres.target.rows import PostgresRows
from lockstep.systems.sql.columns import Codec, Columns
from lockstep.systems.sql.dialect import Dialect, replacing
from lockstep.systems.sql.proof import Hash, recipe
from lockstep.systems.sql.rows import Rows

LONGEST_NAME = 63
_COUNTED = 10_000
_SAMPLED = 500
"""Blocks of a table by which its rows are counted, to within a twentieth or so."""

# Types, as format_type names them, whose values the server compares as canonical forms do. A domain has a
# name of its own and is none of them.
_TEXTS = frozenset({"text", "character varying"})
_ADDED = frozenset({"smallint", "integer", "bigint", "numeric"})
_HASHED = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "boolean": "bool",
    "character varying": "varchar",
} | {name: name for name in ("uuid", "text", "numeric", "json", "jsonb")}
_GROUPED = _TEXTS | _ADDED - {"numeric"} | {"boolean", "uuid", "date"}

_BLOCKS = (
    "SELECT coalesce(sum(pg_relation_size(relid)), 0) / current_setting('block_size')::int FROM "
    "(SELECT relid FROM pg_partition_tree(%s::regclass) WHERE isleaf UNION SELECT %s::regclass) AS leaves"
)

_COLUMNS = f"""{COLLATIONS}
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1),
       coalesce(nullif(e.typname, ''), b.typname)::text || CASE WHEN e.oid IS NULL THEN '' ELSE '[]' END,
       coalesce(y.yes, false), a.attgenerated <> ''
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A' AND b.typlen = -1
LEFT JOIN bytewise y ON y.oid = a.attcollation
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
ORDER BY a.attnum"""
_UNIQUE = f"""{COLLATIONS}
SELECT array_agg(a.attname::text) FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY AS k(attnum, coll, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
LEFT JOIN bytewise y ON y.oid = k.coll
WHERE n.nspname = %s AND c.relname = %s AND k.n <= i.indnkeyatts
  AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid HAVING bool_and(coalesce(y.collisdeterministic, true))"""
_ALLOWED = """
SELECT current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery(), current_user::text,
       has_schema_privilege(n.oid, 'CREATE'),
       to_regclass(format('%%I.%%I', n.nspname, '_lockstep_targets')) IS NOT NULL,
       (SELECT string_agg(p, ', ') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
        WHERE NOT has_table_privilege(c.oid, p))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s"""


class PostgresDialect(Dialect):
    """One table's database. Its commits are durable, whatever the user has set."""

    collation = "C"
    table_options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    longest = LONGEST_NAME

    def __init__(self, address: Address, table: str) -> None:
        self.system, self._address, self._table = address.name, address, table
        self._engine: sa.Engine | None = None
        digest = hashlib.blake2b(f"lockstep target {table}".encode(), digest_size=8).digest()
        self._lock = int.from_bytes(digest, "big", signed=True)

    def place(self, table: str) -> tuple[str | None, str]:
        return names.parse(table)

    def written(self, schema: str | None, table: str) -> str:
        return names.written(schema or "public", table)

    def copier(self) -> PostgresCopier:
        return PostgresCopier(self)

    def there(self) -> bool:
        return True  # whoever connects is told

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self._begun("REPEATABLE READ") as connection:
            # Said here: as an option of the connection it would make the next transaction READ WRITE, over
            # what the user has set.
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection

    @contextmanager
    def writing(self, create: bool = False) -> Iterator[sa.Connection]:
        with self._begun("READ COMMITTED") as connection:
            connection.exec_driver_sql("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (self._lock,))
            yield connection

    @contextmanager
    def _begun(self, isolation: str) -> Iterator[sa.Connection]:
        if self._engine is None:
            self._engine = sa.create_engine(
                "postgresql+psycopg://",
                creator=self._address.writing,
                poolclass=sa.QueuePool,
                pool_size=2,
                use_native_hstore=False,
            )
        with self._engine.execution_options(isolation_level=isolation).begin() as connection:
            yield connection

    def insert(self, table: Any) -> Any:
        return postgresql.insert(table)

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        return among(column, values)

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], newer: str
    ) -> None:
        columns = tuple(rows[0])
        statement = replacing(insert_of(table, columns), table, newer)
        connection.execute(statement, arrays([tuple(map(row.__getitem__, columns)) for row in rows]))

    def rows(self, table: str, key: Sequence[str], columns: Columns) -> Rows:
        return PostgresRows(self, table, key, columns)

    def key_bytes(self, connection: sa.Connection, rows: Rows, alias: str) -> sa.ColumnElement[bytes]:
        parts = []
        for name in rows.key:
            made = rows.columns[name].key
            if made is None:
                raise CannotSum(f"no bytes of a key are made of a {rows.columns[name].declared} in SQL")
            parts.append(made.replace("{}", f"{alias}.{names.quoted(name)}"))
        return sa.literal_column(" || ".join(parts), sa.LargeBinary)

    def hash_sql(
        self, connection: sa.Connection, rows: Rows, names_: Sequence[str], alias: str | None
    ) -> Hash:
        """Our connections all set what has a part in the text of a value."""
        cells = [
            row_hash.cell(_HASHED.get(_bare(rows.columns[name]), ""), _placed(name, alias), seed)
            for seed, name in enumerate(names_, 1)
        ]
        return Hash(row_hash.of_cells(cells), _recipe(2, connection, rows, names_))

    def hashes_sql(
        self, connection: sa.Connection, rows: Rows, names_: Sequence[str], alias: str | None
    ) -> list[Hash]:
        whole = row_hash.of_text([_placed(name, alias) for name in names_])
        first = Hash(whole, _recipe(1, connection, rows, names_))
        return [self.hash_sql(connection, rows, names_, alias), first]

    def grouped(self, rows: Rows, name: str) -> str:
        column = rows.columns[name]
        if _bare(column) not in _GROUPED:
            raise CannotSum(f"column {name} is {column.declared}, grouped otherwise by the server")
        collated = f'{names.quoted(name)} COLLATE pg_catalog."C"'
        return collated if _bare(column) in _TEXTS else column.read.replace("{}", names.quoted(name))

    def added(self, rows: Rows, name: str) -> str:
        column = rows.columns[name]
        if _bare(column) not in _ADDED:
            raise CannotSum(f"column {name} is {column.declared}, which the server does not add up exactly")
        return f"pg_catalog.sum({names.quoted(name)}::pg_catalog.numeric)::pg_catalog.text"

    def columns(self, connection: sa.Connection, table: str) -> Columns:
        found = connection.exec_driver_sql(_COLUMNS, self.place(table)).all()
        return {
            name: codec(type_, label, cast=cast, bytewise=bytewise)
            for name, label, cast, type_, bytewise, generated in found
            if not generated
        }

    def codec(self, declared_: str) -> Codec:
        return declared(declared_)

    def kept(self, codec: Codec, cells: Sequence[Any]) -> list[Any]:
        with self.reading() as connection:
            return kept(connection, codec, cells)

    def unique(self, connection: sa.Connection, table: str, key: Sequence[str]) -> bool:
        found = connection.exec_driver_sql(_UNIQUE, self.place(table)).all()
        return any(set(over) == set(key) for (over,) in found)

    def count(self, connection: sa.Connection, rows: sa.TableClause, key: str) -> int:
        """Exactly up to some thousands; beyond, by some hundred blocks of it: counting reads all of a table,
        and what the planner knows is as old as the last ANALYZE."""
        some = sa.select(sa.literal(1)).select_from(rows).where(sa.column(key).is_not(None))
        counted = sa.select(sa.func.count()).select_from(some.limit(_COUNTED + 1).subquery())
        number = int(connection.execute(counted).scalar_one())
        if number <= _COUNTED:
            return number
        blocks = connection.exec_driver_sql(_BLOCKS, (names.sql_name(self._table),) * 2).scalar_one()
        share = min(1.0, _SAMPLED / max(float(blocks), 1.0))
        sampled = connection.execute(
            sa.select(sa.func.count()).select_from(
                sa.tablesample(rows, sa.func.system(sa.literal_column(f"{100 * share!r}")))
            )
        )
        return max(number, round(int(sampled.scalar_one()) / share))

    def declared(self, type_: str, in_key: bool) -> str:
        """A key of text in the order of its bytes, so that its index serves scans."""
        return f'{type_} COLLATE "C"' if in_key and is_text(type_) and "COLLATE" not in type_ else type_

    def trouble(self, connection: sa.Connection, table: str) -> tuple[str, str] | None:
        row = connection.exec_driver_sql(_ALLOWED, self.place(table)).first()
        if row is None:
            return None
        read_only, user, may_create, stands, lacking = row
        schema, _ = names.parse(table)
        if read_only and not self._writable(connection):
            return f"{self.system} is read-only", "Name the primary in the URL, and a user who may write."
        if lacking:
            return (
                f"user {user} lacks privileges on {table}: {lacking}",
                f"GRANT {lacking} ON {names.sql_name(table)} TO {names.quoted(user)};",
            )
        if not stands and not may_create:
            return (
                f"user {user} may not create Lockstep's own tables in schema {schema}",
                f"GRANT CREATE ON SCHEMA {names.quoted(schema)} TO {names.quoted(user)};",
            )
        return None

    def _writable(self, connection: sa.Connection) -> bool:
        """Whether a new transaction may write; this one was begun to read."""
        return bool(
            connection.exec_driver_sql(
                "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'"
            ).scalar_one()
        )

    def again(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlstate", None) in AGAIN

    def error(self, error: DBAPIError) -> LockstepError:
        return meaning(error, self.system)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _placed(name: str, alias: str | None) -> str:
    return f"{alias}.{names.quoted(name)}" if alias else names.quoted(name)


def _recipe(number: int, connection: sa.Connection, rows: Rows, names_: Sequence[str]) -> int:
    major = (connection.dialect.server_version_info or (0,))[0]
    return recipe(number, major, *(part for name in names_ for part in (name, rows.columns[name].declared)))


def _bare(column: Codec) -> str:
    """The name of a column's type, without its length; that of a list is none of its elements'."""
    name, _, behind = column.declared.partition("(")
    return name + "[]" if behind.endswith("[]") else name
