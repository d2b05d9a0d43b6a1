"""The page that explore writes: whatever a system calls its things, it is a page and nothing else."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, example, given, settings

from lockstep.catalog import Catalog, CatalogColumn, CatalogTable
from lockstep.exploration.page import write_page
from tests.unit.test_explore_models import catalogs


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogs())
@example(
    Catalog(
        "app",
        (
            CatalogTable(
                "User", (CatalogColumn("id", "t", "int", False, label="`", options=("<",)),), (), (), 0, False
            ),
        ),
    )
)
def test_any_catalog_is_a_page(catalog: Catalog) -> None:
    page = write_page(catalog, url_hint=None)
    tables: list[list[str]] = []
    before = ""
    for line in page.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            tables[-1].append(line)
        before = line
    for lines in tables:
        bars = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}
        assert len(bars) == 1, lines
    rows = sum(len(lines) - 2 for lines in tables)
    assert rows == len(catalog.tables) + sum(len(one.columns) for one in catalog.tables)
    assert page.count("\n## ") == len(catalog.tables)
    # An escaped backtick opens no code: what is escaped is passed over first.
    shown = re.sub(r"(\\.)|`[^`\n]*`", lambda found: found[1] or "", page)
    assert not re.search(r"(?<!\\)(?:\\\\)*<", shown), "no markup of others"
