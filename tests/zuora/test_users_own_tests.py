"""The fixture for users' own tests, as docs/zuora.md shows it, in a directory that is not this project's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "zuora.md"


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    section = DOCS.read_text("utf-8").partition("## Testing your own code")[2]
    blocks = [part.partition("```")[0] for part in section.split("```text\n")[1:]]
    assert len(blocks) == 2
    for name, block in zip(("conftest.py", "test_mine.py"), blocks, strict=True):
        Path(tmp_path, name).write_text(block)
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(line, cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
