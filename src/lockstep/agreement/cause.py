"""What probably brought a divergence about, as far as ledger and target tell. Pure."""

from __future__ import annotations

from lockstep.agreement.report import Divergence
from lockstep.forms import keys
from lockstep.state.rows import Row

NEVER = "never derived: a hint of it was lost, or has not been worked yet"
UNDONE = "the write of it was lost, or the record was put back to an earlier state"
LOST = "the write was lost, or somebody removed the record"
OTHERS = "changed by someone else"
ADOPTED = "it stood here before Lockstep; `lockstep repair` writes what the source means"
CHANGED = "the mapping has changed since it was written"
STUCK = "stuck: see `lockstep stuck`"
DOUBT = "in doubt since a crash or a broken connection: a run settles it"
BEHIND = "a change was not derived: a hint of it was lost, or has not been worked yet"
LEFT = "a removal was not derived, or the record was restored by someone else"
STRANGER = "not written by this mapping"
APART = (
    "records that differ (a deep check names them), others than the mapping's, or an aggregate that means "
    "something else"
)
WAITS = "not judged: changes of this mapping wait to be worked, see `lockstep status`; then check again"
BOOKS = "the ledger was altered, or restored"


def cause(one: Divergence, row: Row | None, *, stuck: bool, mapping_changed: bool) -> str:
    """`row`: what the ledger says of its source key; `stuck`: the key is."""
    if stuck or one.kind == "failed":
        return STUCK
    if one.kind == "unsettled":
        return WAITS
    if one.kind == "invariant":
        return APART
    if one.source is None:
        return STRANGER
    if row is not None and row.void:
        return DOUBT
    if one.kind == "ledger":
        return BOOKS
    if one.kind == "missing":
        return NEVER if row is None or row.sent is None else LOST
    if one.kind == "extra":
        return LEFT
    if one.kind == "stale" and one.sent:
        return UNDONE
    owned = row.targets if row is not None and row.targets else ()
    if any(item.left and keys.text(item.key) == one.target_key for item in owned):
        return ADOPTED
    if mapping_changed:
        return CHANGED
    return BEHIND if one.kind == "stale" else OTHERS
