"""All migrations together give the schema that the code speaks to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.database.files import FileDatabase
from lockstep.database.postgres import PostgresDatabase
from lockstep.journal import tables
from lockstep.place import StateUrl
from lockstep.state import migrations, schema

_DOUBLE = dict.fromkeys(("REAL", "DOUBLE", "DOUBLE_PRECISION", "DOUBLE PRECISION"), "DOUBLE")


def _reflected(engine: sa.Engine) -> dict[str, Any]:
    inspector = sa.inspect(engine)
    found: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table in ("migrations", "sqlite_sequence"):
            continue
        with engine.connect() as connection:
            sql_text = str(
                connection.exec_driver_sql(
                    "SELECT sql FROM sqlite_master WHERE name = ?", (table,)
                ).scalar_one()
            )
            indexes = connection.exec_driver_sql(
                "SELECT name, [unique], origin, partial FROM pragma_index_list(?) ORDER BY 1", (table,)
            ).all()
            partial = connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND sql LIKE '% WHERE %'"
                " AND type = 'index' ORDER BY 1",
                (table,),
            ).all()
        found[table] = {
            "columns": [
                (one["name"], _DOUBLE.get(str(one["type"]), str(one["type"])), one["nullable"])
                for one in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "indexes": sorted((one["name"], one["column_names"]) for one in inspector.get_indexes(table)),
            "list": [tuple(one) for one in indexes if one[2] != "pk"],
            "where": [
                (name, text.partition(" WHERE ")[2].replace("(", "").replace(")", ""))
                for name, text in partial
            ],
            "unique": sorted(one["column_names"] for one in inspector.get_unique_constraints(table)),
            "references": [
                (one["constrained_columns"], one["referred_table"])
                for one in inspector.get_foreign_keys(table)
            ],
            "rowid": "WITHOUT ROWID" not in sql_text,
            "autoincrement": "AUTOINCREMENT" in sql_text,
        }
    return found


_POSTGRES = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relname <> 'migrations' AND c.relnamespace = %s::regnamespace
        ORDER BY 1, a.attnum""",
    "indexes": """
        SELECT replace(indexdef, schemaname || '.', '') FROM pg_indexes
        WHERE schemaname = %s AND tablename <> 'migrations' ORDER BY 1""",
    "constraints": """
        SELECT conrelid::regclass::text, contype, replace(pg_get_constraintdef(oid), '"', '')
        FROM pg_constraint
        WHERE connamespace = %s::regnamespace AND contype <> 'n' AND conrelid <> 'migrations'::regclass
        ORDER BY 1, 2, 3""",
}
BOTH = pytest.mark.parametrize(
    ("metadata", "migrations"),
    [(schema.metadata, migrations.LEDGER), (tables.metadata, tables.migrations)],
    ids=["ledger", "journal"],
)


@BOTH
def test_the_migrations_give_the_schema_on_postgresql(
    postgres_url: str, metadata: sa.MetaData, migrations: Any
) -> None:
    place = StateUrl(f"{postgres_url}?schema=a")
    database = PostgresDatabase(place, "ledger", migrations)
    found: dict[str, dict[str, Any]] = {}
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE SCHEMA created")
        for name in ("a_ledger", "created"):
            connection.exec_driver_sql(f"SET LOCAL search_path = {name}")
            if name == "created":
                metadata.create_all(connection)
                connection.exec_driver_sql("CREATE TABLE migrations ()")
            found[name] = {
                what: [tuple(row) for row in connection.exec_driver_sql(query, (name,))]
                for what, query in _POSTGRES.items()
            }
    database.close()
    assert found["a_ledger"]["columns"]
    for what in _POSTGRES:
        assert found["a_ledger"][what] == found["created"][what], what


@BOTH
def test_the_migrations_give_the_schema(tmp_path: Path, metadata: sa.MetaData, migrations: Any) -> None:
    FileDatabase(tmp_path / "migrated.db", migrations).close()
    migrated = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    created = sa.create_engine("sqlite://")
    metadata.create_all(created)
    one, other = _reflected(migrated), _reflected(created)
    assert one.keys() == other.keys()
    for table in one:
        assert one[table] == other[table], table
    migrated.dispose()
    created.dispose()
