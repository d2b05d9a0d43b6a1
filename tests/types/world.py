"""A database with every type, mapped to a target as it is."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

import lockstep as ls
from lockstep.forms import keys
from lockstep.ports import Source, Target
from lockstep.state.stuck import Stuck
from lockstep.values import Change, Held
from tests.types import rows
from tests.types.changed import changed
from tests.types.kinds import Kind
from tests.types.postgres_kinds import HELD


class World:
    """A source with one table of all kinds, and one target."""

    def __init__(
        self, root: Path, source: Source, kinds: Sequence[Kind], to: str, search: str | None
    ) -> None:
        self.kinds, self.to = kinds, to
        self.columns = rows.column_names(kinds)
        self.rows = rows.rows(kinds)
        self.name = f"types_{uuid.uuid4().hex[:8]}"
        _, module = rows.models(source.catalog())
        sys.modules[module.__name__] = module
        self.model = next(
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, ls.Model) and value is not ls.Model
        )
        self.target = self._target(root, source, search)
        self.pipeline = ls.Pipeline("types", state=root / "state")
        function = rows.handing_on(self.model)
        self.pipeline.mapping(source, to=self.target, name="everything", version="1")(function)

    def _target(self, root: Path, source: Source, search: str | None) -> Target:
        if self.to == "opensearch":
            assert search is not None
            return ls.OpenSearch(search).index(
                self.name, settings={"number_of_replicas": 0}, mappings={"dynamic": False}
            )
        if self.to == "tantivy":
            return ls.Tantivy(root / "index").index(self.name)
        if self.to == "postgres":
            assert isinstance(source, ls.Postgres)
            columns = {
                c: HELD.get(k.declared, k.declared) for c, k in zip(self.columns, self.kinds, strict=True)
            }
            return source.table(f"public.{self.name}", columns={"id": "int8", **columns})
        declared = {
            "id": "INTEGER",
            **{c: k.sqlite.partition(";")[0] for c, k in zip(self.columns, self.kinds, strict=True)},
        }
        return ls.SQLite(root / "out.db").table(self.name, columns=declared, key=("id",))

    def run(self) -> None:
        assert ls.run(self.pipeline, once=True).stopped == {}

    def held(self) -> dict[int, Held]:
        """What the target holds, by the number of the row."""
        with contextlib.closing(self.target.open(1)) as writer:
            found = writer.scan(None, 100_000)
        return {keys.decode(one.meta.key)[0]: one for one in found if one.meta is not None}

    def actual(self) -> dict[int, dict[str, Any]]:
        return {number: dict(one.record) for number, one in self.held().items()}

    def expected(self) -> dict[int, dict[str, Any]]:
        """By rows that are not stuck on the way to this target."""
        return {
            number: rows.record(number, cells, self.columns)
            for number, cells in self.rows.items()
            if not any({"source", self.to} & cell.case.stuck.keys() for cell in cells)
        }

    def stuck(self) -> dict[int, Stuck]:
        assert self.pipeline.state is not None
        found = ls.stuck(self.pipeline.state, "everything")
        return {keys.decode(one.key)[0]: one for one in found}

    def another(self, cell: rows.Cell, number: int) -> Any:
        """Another value for a cell, as little different as can be; else all or nothing."""
        own = HELD.get(cell.kind.declared, cell.kind.declared) not in ("text", "json", "jsonb")
        if self.to == "postgres" and own and isinstance(cell.case.value, str | dict | list):
            return cell.case.value if number in rows.FILLER else None
        return changed(cell.case.value)

    def spoil(self, changed: dict[int, dict[str, Any]]) -> None:
        """Writes other records into the target behind Lockstep's back."""
        with contextlib.closing(self.target.open(1)) as writer:
            changes = [
                Change(one.key, changed[n], one.meta)
                for n, one in self.held().items()
                if n in changed and one.meta
            ]
            refused = [outcome.reason for outcome in writer.write(changes) if outcome.status != "applied"]
        assert refused == [], refused


@contextlib.contextmanager
def cleared(world: World, search: str | None) -> Iterator[World]:
    """The world; its index is removed afterwards."""
    try:
        yield world
    finally:
        sys.modules.pop("explored_models", None)
        if world.to == "opensearch":
            httpx.delete(f"{search}/{world.name}*", timeout=30)
