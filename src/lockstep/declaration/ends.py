"""What a mapping leads from and to: a wrong thing is told of while the file is read, with what to write."""

from __future__ import annotations

from lockstep.errors import DeclarationError
from lockstep.ports import Source, Target

_PARTS = ("table", "index", "accounts")
"""What the systems call that which is written to."""


def assert_source(given: object, mapping: str) -> None:
    """Raises DeclarationError for what cannot be read and followed."""
    if isinstance(given, Source) and not isinstance(given, type):
        return
    raise DeclarationError(
        f"{_shown(given)} cannot be the source of mapping {mapping}",
        'Give a system that can be read and followed, such as ls.Postgres("postgresql://…").',
    )


def assert_target(given: object, mapping: str) -> None:
    """Raises DeclarationError for what cannot be written to."""
    if isinstance(given, Target) and not isinstance(given, type):
        return
    part = next((part for part in _PARTS if hasattr(given, part)), None)
    if part is None or isinstance(given, type | str):
        raise DeclarationError(
            f"{_shown(given)} cannot be the target of mapping {mapping}",
            'Give a part of a system, such as to=ls.OpenSearch("https://…").index("users").',
        )
    system = type(given).__name__
    name = "…" if part == "accounts" else '"NAME"'
    raise DeclarationError(
        f"mapping {mapping} leads to the whole of {system}: it does not say to which {part}",
        f"Add it: to=ls.{system}(…).{part}({name}).",
    )


def _shown(given: object) -> str:
    """What it is, not itself, which may have an address with a password."""
    if given is None:
        return "None"
    return (
        f"the class {given.__name__}"
        if isinstance(given, type)
        else f"what is of type {type(given).__name__}"
    )
