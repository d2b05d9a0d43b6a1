"""The embedded search index keeps the laws of `Writer`, `Restorable` and `Generational`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockstep.ports import Target
from lockstep.systems.tantivy import Tantivy
from lockstep.systems.tantivy.target import TantivyTarget
from lockstep.testing.generational_law import GenerationalLaw
from lockstep.testing.killed_law import KilledLaw
from lockstep.testing.restorable_law import RestorableLaw
from lockstep.testing.writer_law import WriterLaw

pytest.importorskip("tantivy")


class TestTantivy(WriterLaw, RestorableLaw, KilledLaw, GenerationalLaw):
    path: Path

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        self.path = tmp_path / "search"
        return Tantivy(self.path).index("law")

    def drop(self, target: Target) -> bool:
        shutil.rmtree(self.path / "law-g1")
        return True

    def wreck(self, target: Target, name: str) -> bool:
        next((self.path.with_name("search-snapshots") / "law" / name).glob("*.store")).unlink()
        return True

    def another(self, target: Target) -> Target | None:
        return Tantivy(self.path).index("other")

    def elsewhere(self, target: Target) -> str | None:
        return f"from lockstep.systems.tantivy import Tantivy; Tantivy({str(self.path)!r}).index('law')"

    def seen(self, target: Target) -> list[str]:
        assert isinstance(target, TantivyTarget)
        return [str(record["text"]) for _, _, record in target.search("*", 20)]
