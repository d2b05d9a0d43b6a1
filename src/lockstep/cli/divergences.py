"""Divergences as people read them: of whom, and in which fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lockstep.cli import output
from lockstep.cli.visible import key_name

if TYPE_CHECKING:
    from rich.console import Console

    from lockstep.agreement.fields import FieldDiff


def keys_of(key: str | None, target_key: str | None) -> str:
    """The source's key, and the target's where it is another one."""
    if key is None or target_key in (None, key):
        return key_name((target_key if key is None else key) or "")
    return f"{key_name(key)} → {key_name(target_key or '')}"


def print_fields(out: Console, fields: Sequence[FieldDiff], most: int) -> None:
    """The first of them, and how many more there are."""
    for field in fields[:most]:
        out.print(output.difference(field.path, field.expected, field.actual, out.width))
    if len(fields) > most:
        out.print(f"    and {output.count(len(fields) - most, 'field')} more")
