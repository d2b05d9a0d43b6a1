"""The pipeline that a Python file defines: the file is imported, and found to define one."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from lockstep.declaration.modules import make_way
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import DeclarationError
from lockstep.place import place_of


def load(path: str | Path) -> Pipeline:
    """The pipeline that a Python file defines.

    Raises DeclarationError when the file is missing, fails, or defines none or several.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise DeclarationError(
            f"there is no pipeline file {path.name} in {path.parent}",
            "Name it with --pipeline FILE, or begin one: see `lockstep explore --help`.",
        )
    name = f"lockstep_pipeline_{path.stem}"  # not the file's own: a json.py would take json's place
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DeclarationError(f"{path.name} is no Python file", "Name one that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    make_way(path.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except DeclarationError:
        raise
    except (Exception, SystemExit) as error:  # a file that exits would end the command without a word
        raise DeclarationError(
            f"{path.name} failed when it was imported: {type(error).__name__}: {error}{_line(error, path)}",
            "Mend the file; `python " + path.name + "` shows the whole trace.",
        ) from error
    found = [value for value in vars(module).values() if isinstance(value, Pipeline)]
    found = list(dict.fromkeys(found))
    if len(found) != 1:
        raise DeclarationError(
            f"{path.name} defines {len(found) or 'no'} pipeline{'s' if len(found) > 1 else ''}",
            "Define exactly one: pipeline = ls.Pipeline('acme').",
        )
    pipeline = found[0]
    pipeline.file = path
    if not pipeline.mappings:
        raise DeclarationError(
            f"pipeline {pipeline.name} has no mapping", "Declare one with @pipeline.mapping(source, to=…)."
        )
    if given := os.environ.get("LOCKSTEP_STATE"):
        pipeline.state = place_of(given)
    elif pipeline.state is None:
        pipeline.state = path.parent / ".lockstep"
    return pipeline


def _line(error: BaseException, path: Path) -> str:
    place = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            place = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return place
