"""All migrations together give the schema that the code speaks to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.database import Database
from lockstep.journal import sql
from lockstep.state import schema

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


@pytest.mark.parametrize(
    ("metadata", "migrations"),
    [(schema.metadata, schema.migrations), (sql.metadata, sql.migrations)],
    ids=["ledger", "journal"],
)
def test_the_migrations_give_the_schema(tmp_path: Path, metadata: sa.MetaData, migrations: Any) -> None:
    Database(tmp_path / "migrated.db", migrations).close()
    migrated = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    created = sa.create_engine("sqlite://")
    metadata.create_all(created)
    one, other = _reflected(migrated), _reflected(created)
    assert one.keys() == other.keys()
    for table in one:
        assert one[table] == other[table], table
    migrated.dispose()
    created.dispose()
