"""What may happen to a file on a disk."""

from __future__ import annotations

import os
from pathlib import Path


def flip(file: Path) -> None:
    """One bit of it changes."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    """Its last byte is lost."""
    os.truncate(file, file.stat().st_size - 1)


HARMS = (flip, cut, Path.unlink)
