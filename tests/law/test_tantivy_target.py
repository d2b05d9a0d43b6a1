"""The embedded search index keeps the law of `Writer`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockstep.ports import Target
from lockstep.systems.tantivy import Tantivy
from lockstep.testing.writer_law import WriterLaw

pytest.importorskip("tantivy")


class TestTantivy(WriterLaw):
    path: Path

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        self.path = tmp_path / "search"
        return Tantivy(self.path).index("law")

    def drop(self, target: Target) -> bool:
        shutil.rmtree(self.path / "law-g1")
        return True
