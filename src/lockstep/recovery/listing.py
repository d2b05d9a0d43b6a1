"""snapshots: what is known of saved states. Reads the state store, never the pipeline."""

from __future__ import annotations

from lockstep.declaration.pipeline import Pipeline
from lockstep.operations.opened import existing
from lockstep.place import Place
from lockstep.state.snapshots import Snapshot


def snapshots(state: Place | Pipeline, *, everything: bool = False) -> list[Snapshot]:
    """The saved states of all targets, the newest first; with `everything`, what is of no use any more too.

    Raises StateError where nothing ever ran.
    """
    with existing(state) as store:
        found = store.snapshots.of(None, *(() if everything else ("taking", "whole")))
    return found[::-1]
