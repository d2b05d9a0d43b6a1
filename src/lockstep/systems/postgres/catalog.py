"""What a database says of its own tables, for `lockstep explore`."""

from __future__ import annotations

from lockstep.catalog import Catalog, CatalogColumn, CatalogReference, CatalogTable
from lockstep.systems.postgres import names, tables
from lockstep.systems.postgres.client import Address, Connection
from lockstep.systems.postgres.estimate import estimated
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.tables import TableInfo

_REFERENCES = """
SELECT k.conrelid::int8, n.nspname::text, t.relname::text,
       array_agg(a.attname::text ORDER BY p.n), array_agg(b.attname::text ORDER BY p.n)
FROM pg_constraint k
JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS p(here, there, n)
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.here
JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = p.there
WHERE k.contype = 'f' AND k.conparentid = 0
GROUP BY k.oid, k.conrelid, n.nspname, t.relname, k.conname
ORDER BY k.conrelid, min(p.here), k.conname"""


def catalog(address: Address) -> Catalog:
    """Every table of every schema of users, partitions as part of their table."""
    with mapped(f"reading the catalog of {address.name}"), address.connect() as connection:
        infos = tables.load(connection)
        references: dict[int, list[CatalogReference]] = {info.oid: [] for info in infos.values()}
        for oid, schema, table, columns, of in connection.execute(_REFERENCES.encode()).fetchall():
            if oid in references:
                reference = CatalogReference(tuple(columns), names.written(schema, table), tuple(of))
                references[oid].append(reference)
        return Catalog(
            address.name,
            tuple(_table(connection, info, tuple(references[info.oid])) for info in infos.values()),
        )


def _table(connection: Connection, info: TableInfo, references: tuple[CatalogReference, ...]) -> CatalogTable:
    rows, exact = _rows(connection, info)
    return CatalogTable(
        info.name,
        tuple(
            CatalogColumn(
                column.name,
                column.label,
                column.python,
                not column.not_null,
                column.type is None or column.type.keyable,
            )
            for column in info.columns.values()
        ),
        info.key,
        references,
        rows,
        exact,
        info.comment,
    )


def _rows(connection: Connection, info: TableInfo) -> tuple[int, bool]:
    """Counted or estimated; for a table that we may not read, what its last ANALYZE said."""
    (readable,) = connection.execute(
        b"SELECT has_table_privilege($1::int8::oid, 'SELECT')", [info.oid]
    ).fetchone() or (False,)
    return estimated(connection, info) if readable else (max(info.estimate, 0), False)
