"""Why a person does something: for whoever reads the timeline."""

from __future__ import annotations

from lockstep.errors import UsageError


def require_reason(why: str | None) -> None:
    """Raises UsageError where a reason says nothing. None: none was asked for, and none given."""
    if why is not None and not why.strip():
        raise UsageError("the reason says nothing", "Say it: --why TEXT. Whoever reads the timeline asks.")
