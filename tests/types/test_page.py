"""docs/types.md is what the list of types says; models of all types pass the type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lockstep.catalog import Catalog, CatalogColumn, CatalogTable
from lockstep.exploration.models import write_models
from tests.types import rows
from tests.types.page import PAGE, page
from tests.types.postgres_kinds import KINDS, OLDER
from tests.types.sqlite_kinds import COLUMNS


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make docs"


def test_models_of_every_type_pass_mypy_strict(tmp_path: Path) -> None:
    """Whose annotations are those that the tests of both sources hold the list to."""
    kinds = (*KINDS, *OLDER, *COLUMNS)
    columns = [
        CatalogColumn(name, kind.declared, kind.python, True)
        for name, kind in zip(rows.column_names(kinds), kinds, strict=True)
    ]
    table = CatalogTable("all", (CatalogColumn("id", "int", "int", False), *columns), ("id",), (), 1, True)
    (tmp_path / "models.py").write_text(write_models(Catalog("all", (table,)), url_hint=None))
    (tmp_path / "use.py").write_text(
        "import lockstep as ls\nfrom models import All\n\n"
        "def document(row: All) -> dict[str, object]:\n"
        f"    ends = row.{columns[rows_of('timestamptz')].name}\n"
        f"    span = row.{columns[rows_of('int4range')].name}\n"
        "    low: int | None = span.lower if span else None\n"
        "    return {'ends': None if isinstance(ends, ls.Far) else ends, 'low': low, 'span': span}\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "use.py", "models.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 0


def rows_of(declared: str) -> int:
    return [kind.declared for kind in KINDS].index(declared)
