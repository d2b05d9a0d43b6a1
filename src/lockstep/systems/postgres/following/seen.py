"""What followed tables are like, as far as the log does not tell.

The log has changes of rows. What an ALTER TABLE does to a column, which table has a name, which partitions
there are: of that it says nothing, or only with the next change of a row. So tables are looked at every few
seconds, and compared with how they were. The look takes no lock: a table that is being altered for an hour
must not hold up who follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from lockstep.systems.postgres import names
from lockstep.systems.postgres.client import Connection
from lockstep.values import Table

# A partition that was made as one (CREATE TABLE … PARTITION OF) was empty then, and all that came into it is
# in the log. One that was attached may have come with rows. They are told apart by their columns: ATTACH
# writes them into the catalog once more, by a later command than the one that made the table.
_LOOK = """
WITH RECURSIVE wanted AS (
  SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, n.nspname, c.relname
  FROM unnest($1::text[], $2::text[]) AS w(schema, name)
  JOIN pg_namespace n ON n.nspname = w.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name),
tree AS (
  SELECT w.oid AS root, i.inhrelid AS oid
  FROM wanted w JOIN pg_inherits i ON i.inhparent = w.oid AND w.relkind = 'p' AND NOT i.inhdetachpending
  UNION ALL
  SELECT t.root, i.inhrelid
  FROM tree t JOIN pg_class p ON p.oid = t.oid AND p.relkind = 'p'
  JOIN pg_inherits i ON i.inhparent = t.oid AND NOT i.inhdetachpending)
SELECT w.nspname::text, w.relname::text, w.oid::int8,
  (SELECT json_object_agg(a.attname, a.attnum || '.' || a.xmin)::text FROM pg_attribute a
   WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT json_object_agg(t.oid, EXISTS (
     SELECT FROM pg_attribute a JOIN pg_attribute s ON s.attrelid = a.attrelid AND s.attname = 'tableoid'
     WHERE a.attrelid = t.oid AND a.attnum > 0 AND a.xmin = s.xmin AND a.cmin = s.cmin))::text
   FROM tree t WHERE t.root = w.oid),
  concat_ws(' ', w.relkind, w.relpersistence, w.relreplident,
   (SELECT string_agg(i.indexrelid || '.' || i.xmin, ' ' ORDER BY i.indexrelid)
    FROM pg_index i WHERE i.indrelid = w.oid))
FROM wanted w"""


class Like(Struct, frozen=True):
    """A table at one moment.

    `columns`: a stamp of each, another one after any ALTER of it. `partitions`: their oids, on all levels,
    and whether each was made as a partition, so that it began empty. `rest`: whatever else decides whether
    the table can be followed.
    """

    oid: int
    columns: dict[str, str]
    partitions: dict[int, bool] = {}
    rest: str = ""

    def noted(self, table: Table) -> Noted:
        """As much of it as must be remembered beyond the end of this process."""
        named = dict.fromkeys((*table.columns, *table.key, *table.joins))
        stamps = {name: self.columns[name] for name in named if name in self.columns}
        return Noted(self.oid, stamps, sorted(self.partitions))

    def grown_from(self, before: Like) -> bool:
        """Whether nothing is new but partitions that began empty."""
        return (
            (self.oid, self.columns, self.rest) == (before.oid, before.columns, before.rest)
            and before.partitions.keys() <= self.partitions.keys()
            and all(self.partitions[oid] for oid in self.partitions.keys() - before.partitions.keys())
        )


class Noted(Struct, frozen=True, array_like=True):
    """What is kept of a table: its oid, the stamps of the columns that are read, its partitions' oids."""

    oid: int
    columns: dict[str, str]
    partitions: list[int]

    def changed(self, now: Like) -> str | None:
        """What happened since to the table's rows that the log may not have, in words."""
        if now.oid != self.oid:
            return "another table has its name now"
        for name, stamp in self.columns.items():
            if now.columns.get(name, stamp) != stamp:
                return f"column {name} was altered"
        if not set(self.partitions) <= now.partitions.keys():
            return "a partition was taken out"
        if not all(began_empty for oid, began_empty in now.partitions.items() if oid not in self.partitions):
            return "a partition was attached"
        return None


def look(connection: Connection, followed: Iterable[Table]) -> dict[str, Like]:
    """What each table that is there is like now, by the name it was asked for with."""
    asked = {names.parse(table.name): table.name for table in followed}
    given = [[schema for schema, _ in asked], [name for _, name in asked]]
    found: dict[str, Like] = {}
    for schema, name, oid, columns, partitions, rest in connection.execute(_LOOK.encode(), given).fetchall():
        found[asked[schema, name]] = Like(
            oid,
            msgspec.json.decode(columns or "{}", type=dict[str, str]),
            msgspec.json.decode(partitions or "{}", type=dict[int, bool]),
            rest,
        )
    return found


_ANCESTORS = """
WITH RECURSIVE up(oid) AS (
  SELECT $1::int8::oid UNION ALL
  SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid
  JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p')
SELECT oid::int8 FROM up"""


class Owners:
    """Which followed tables the rows of a relation of the log belong to: itself, and what it is a part of.

    A relation is known by its oid, whatever it is called: one that is renamed away and back is followed all
    the while.
    """

    def __init__(self, followed: Sequence[Table], like: dict[str, Like]) -> None:
        self._tables = {like[table.name].oid: table for table in followed if table.name in like}
        self._known: dict[int, tuple[Table, ...]] = {}

    def of(self, oid: int, ask: Any) -> tuple[Table, ...]:
        """`ask` runs a query with one parameter and gives its rows; asked once for each relation."""
        if oid not in self._known:
            above = [row[0] for row in ask(_ANCESTORS, oid)]
            self._known[oid] = tuple(self._tables[one] for one in above if one in self._tables)
        return self._known[oid]
