"""Why Terraform removes something, in words: from action_reason and replace_paths.

Names of fields, never values.
"""

from __future__ import annotations

from lockstep.guard.plans.terraform import Change

_WORDS = {
    "replace_because_tainted": "it is marked as tainted",
    "replace_by_request": "somebody asked for it with -replace",
    "replace_by_triggers": "something in its replace_triggered_by changed",
    "replace_because_cannot_update": "it cannot be changed in place",
    "delete_because_no_resource_config": "its block is not in the configuration any more",
    "delete_because_no_module": "its module is not in the configuration any more",
    "delete_because_wrong_repetition": "count or for_each was added or taken away",
    "delete_because_count_index": "count became smaller",
    "delete_because_each_key": "its key is not in for_each any more",
    "delete_because_no_move_target": "a moved block points to nothing",
}


def why(change: Change) -> str:
    """ ", because …", or nothing where the plan gives no reason."""
    said = _WORDS.get(change.reason, "")
    paths = ", ".join(change.replace_paths[:4])
    if paths:
        said = f"{paths} cannot be changed in place"
    return f", because {said}" if said else ""
