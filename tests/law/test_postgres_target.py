"""PostgreSQL as a target keeps the laws of `Writer` and `Restorable`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from lockstep.forms.keys import decode
from lockstep.ports import Target
from lockstep.systems.postgres import Postgres
from lockstep.testing.grouping_law import GroupingLaw
from lockstep.testing.killed_law import KilledLaw
from lockstep.testing.proxy import Proxy
from lockstep.testing.restorable_law import RestorableLaw
from lockstep.testing.summing_law import SummingLaw
from lockstep.testing.writer_law import WriterLaw
from lockstep.values import Key, Record

COLUMNS = {
    "id": "text",
    "text": "text",
    "text_nul": "text",
    "integer": "bigint",
    "big_integer": "numeric",
    "decimal": "numeric",
    "float": "double precision",
    "not_finite": "numeric",
    "boolean": "boolean",
    "null": "inet",
    "numbers": "integer[]",
    "texts": "text[]",
    "object": "jsonb",
    "objects": "jsonb",
    "mixed": "json",
    "odd_names": "jsonb",
    "date": "date",
    "time": "time",
    "local": "timestamp",
    "instant": "timestamptz",
    "uuid": "uuid",
    "bytes": "bytea",
    "duration": "interval",
}


class TestPostgresTarget(WriterLaw, SummingLaw, GroupingLaw, RestorableLaw, KilledLaw):
    cannot_hold = frozenset({"text_nul"})
    generational = False
    url: str
    through: str
    saved: Path
    proxy: Proxy
    table = "public.law"
    named = "public.law"

    @pytest.fixture
    def declared(self, postgres_url: str, tmp_path: Path) -> Iterator[Postgres]:
        """The database, behind a cable that can be pulled."""
        self.url = postgres_url
        parts = urlsplit(postgres_url)
        self.proxy = Proxy("127.0.0.1", parts.port or 0)
        self.through = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{self.proxy.port}").geturl()
        self.saved = tmp_path
        yield Postgres(self.through, snapshots=self.saved)
        self.proxy.close()

    @pytest.fixture
    def target(self, declared: Postgres) -> Target:
        lines = ", ".join(f'"{name}" {type_}' for name, type_ in COLUMNS.items())
        self.do(f'CREATE TABLE law ({lines}, PRIMARY KEY (id), CHECK ("integer" <> -666))')
        return declared.table("law")

    def do(self, statement: str, values: tuple[object, ...] | None = None) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode(), values)

    def bad_record(self) -> Record | None:
        return {"integer": -666}

    def plant(self, target: Target, key: Key, record: Record) -> bool:
        names = ", ".join(f'"{name}"' for name in record)
        place = self.table.replace("%", "%%")
        statement = f"INSERT INTO {place} (id, {names}) VALUES (%s{', %s' * len(record)})"
        self.do(statement, (*decode(key), *record.values()))
        return True

    def remove(self, target: Target, key: Key) -> bool:
        self.do(f"DELETE FROM {self.table.replace('%', '%%')} WHERE id = %s", decode(key))
        return True

    def edit(self, target: Target, key: Key, record: Record) -> bool:
        (name, value) = next(iter(record.items()))
        place = self.table.replace("%", "%%")
        self.do(f'UPDATE {place} SET "{name}" = %s WHERE id = %s', (value, *decode(key)))
        return True

    def edit_unwritten(self, target: Target, key: Key) -> None:
        self.edit(target, key, {"integer": 7})

    def drop(self, target: Target) -> bool:
        self.do(f"DROP TABLE {self.table}")
        return True

    def wreck(self, target: Target, name: str) -> bool:
        (place,) = self.saved.glob(f"*/{name}")
        os.truncate(place / "rows", 7)
        return True

    def another(self, target: Target) -> Target | None:
        return Postgres(self.through, snapshots=self.saved).table("other", columns={"id": "text"})

    def elsewhere(self, target: Target) -> str | None:
        declared = f"Postgres({self.through!r}, snapshots={str(self.saved)!r}).table({self.named!r})"
        return f"from lockstep.systems.postgres import Postgres; {declared}"

    @contextlib.contextmanager
    def _pulled(self) -> Iterator[None]:
        self.proxy.refuse()
        self.proxy.cut()
        yield
        self.proxy.accept()

    def cut(self, target: Target) -> contextlib.AbstractContextManager[None]:
        return self._pulled()


class TestPostgresTextTarget(TestPostgresTarget):
    """A table that Lockstep makes, all text, with names that need quotes."""

    cannot_total = "does not add up exactly"
    table = '"Schéma %s"."select"'
    named = "Schéma %s.select"

    @pytest.fixture
    def target(self, declared: Postgres) -> Target:
        self.do('CREATE SCHEMA "Schéma %s"')
        return declared.table("Schéma %s.select", columns=dict.fromkeys(COLUMNS, "text"))

    def record(self, number: int) -> Record:
        return {"text": f"record {number}", "integer": str(number)}

    def bad_record(self) -> Record | None:
        return {"no such column": 1}
