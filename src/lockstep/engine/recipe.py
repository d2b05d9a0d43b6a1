"""The recipe of a mapping's source sums: another one means that none of the ledger's can be compared."""

from __future__ import annotations

import hashlib

from lockstep.declaration.mapping import Mapping
from lockstep.forms.canonical import SUM_RECIPE


def recipe(mapping: Mapping) -> str:
    """How the source sums of a mapping are made: the recipe, and the columns that go into it."""
    parts = [f"{node.path}:{node.table.name}:{','.join(node.table.columns)}" for node in mapping.root.walk()]
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=6).hexdigest()
    return f"{SUM_RECIPE}-{digest}"
