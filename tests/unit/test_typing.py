"""What a type checker sees of models, shapes and mappings: good files pass, planted errors are found."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from mypy import api

from lockstep.declaration.pipeline import Pipeline
from tests.support.memory import MemorySource, MemoryTarget

HERE = Path(__file__).parent / "typing"
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """The errors of `mypy --strict`, by file and line."""
    directory = tmp_path_factory.mktemp("typing")
    files = []
    for path in sorted(HERE.glob("*.py.txt")):
        files.append(directory / path.stem)
        files[-1].write_text(path.read_text())
    config = directory / "mypy.ini"
    config.write_text(f"[mypy]\nstrict = True\nmypy_path = {SOURCE}\ncache_dir = {directory / 'cache'}\n")
    out, err, _ = api.run(["--config-file", str(config), "--follow-imports", "silent", *map(str, files)])
    assert not err
    found: dict[str, dict[int, str]] = {file.name: {} for file in files}
    for name, line, text in re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error: (.*)$", out, re.MULTILINE):
        found[name][int(line)] = text
    return found


def test_a_good_file_passes(reported: dict[str, dict[int, str]]) -> None:
    assert reported["good.py"] == {}


def test_every_planted_error_is_reported(reported: dict[str, dict[int, str]]) -> None:
    text = (HERE / "planted.py.txt").read_text()
    planted = {number for number, line in enumerate(text.splitlines(), 1) if "# error: " in line}
    assert len(planted) == 11
    assert reported["planted.py"].keys() == planted


def test_what_is_declared_there_also_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The good file is no fiction: it runs."""
    module = types.ModuleType("typing_good")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec((HERE / "good.py.txt").read_text(), vars(module))
    pipeline = Pipeline("p")
    module.declare(pipeline, MemorySource(), MemoryTarget())
    assert list(pipeline.mappings) == ["as_dict", "as_struct", "other", "as_keyed"]
