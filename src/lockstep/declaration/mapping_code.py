"""A mapping's code: which version it is, what names it sees, and where it raised."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any


def code_version(function: Callable[..., Any]) -> str:
    """A hash of the module that holds the mapping: other code is another version."""
    try:
        source = inspect.getsource(sys.modules[function.__module__])
    except (OSError, KeyError, TypeError):
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            source = function.__name__
    return hashlib.blake2b(source.encode(), digest_size=6).hexdigest()


def raised_at(error: BaseException, function: Callable[..., Any]) -> str:
    """The line of the user's own code that raised, as " (models.py:12)"."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == function.__code__.co_filename:
            place = f" ({code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def names_near(function: Callable[..., Any]) -> dict[str, Any]:
    """Names of the functions around a mapping that is defined inside one, as tests do."""
    frame: Any = sys._getframe(1)
    names: dict[str, Any] = {}
    while frame is not None:
        if frame.f_globals is getattr(function, "__globals__", None):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names
