"""Where a pipeline file finds the modules that it imports, in this process and in others that import it."""

from __future__ import annotations

import sys
from pathlib import Path

_loaded_from: set[Path] = set()


def make_way(directory: Path) -> None:
    """Imports find this directory's files, not those of the same name beside another pipeline."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).parent in _loaded_from - {directory} and (directory / f"{name}.py").is_file():
            del sys.modules[name]
    _loaded_from.add(directory)
    if str(directory) in sys.path:
        sys.path.remove(str(directory))
    sys.path.insert(0, str(directory))


def module_path() -> list[str]:
    """Where another process is to look for modules, so that it finds what this one does. What lies beside
    pipeline files comes last: nothing there may take the place of a module that Lockstep imports."""
    beside = {str(one) for one in _loaded_from}
    paths = [one for one in sys.path if isinstance(one, str)]
    return sorted(paths, key=beside.__contains__)
