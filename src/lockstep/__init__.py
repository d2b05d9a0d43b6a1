"""Lockstep keeps two systems in agreement, proves that they agree, and brings one back when it is lost.

    import lockstep as ls

Models and shapes: `Model`, `key`, `ref`, `personal`, `column`, `Reference`, `one`, `many`.
Values of databases that Python has no type for: `Far`, `Interval`, `Range`.
Values that hold from a day on: `Timeline`.
Pipelines: `Pipeline`, `Keyed`, `Clock`, `load`.
Systems: `Postgres`, `SQLite`, `OpenSearch`, `Elasticsearch`, `Tantivy` (each needs its extra).
What the command line does: `check`, `run`, `status`, `plan`, `explain`, `stuck`, `retry`, `verify`,
`backfill`, `history`, `explore`; `snapshot`, `snapshots`, `restore`, `drill`, `redrive`, `redrive_keys`,
`deploy`, `rollback`, `retire`.
Plans of other automation: `guard_terraform`, `guard_fleet`, which answer with a `Judgement`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lockstep.datatypes.far import Far
from lockstep.datatypes.interval import Interval
from lockstep.datatypes.ranges import Range
from lockstep.declaration.invariant import Equal, count, total
from lockstep.declaration.mapping import Clock, Keyed
from lockstep.declaration.model import Model, Reference, column, key, many, one, personal, ref
from lockstep.declaration.pipeline import Pipeline
from lockstep.declaration.pipeline_file import load
from lockstep.effective import Timeline
from lockstep.errors import (
    CheckFailed,
    DataError,
    DeclarationError,
    Disagreement,
    LockstepError,
    MappingStopped,
    PlanUnreadable,
    Refused,
    StateError,
    StateInUse,
    TargetReplaced,
    Unreachable,
    UsageError,
)
from lockstep.guard.policy import HeldBack
from lockstep.limits import Guard, Numbers
from lockstep.values import Finding

if TYPE_CHECKING:
    from lockstep.exploration.system import explore
    from lockstep.operations.backfill import backfill
    from lockstep.operations.check import check
    from lockstep.operations.explain import explain
    from lockstep.operations.guard import Judgement, guard_fleet, guard_terraform
    from lockstep.operations.history import history
    from lockstep.operations.holds import approve, holds, reject
    from lockstep.operations.plan import plan
    from lockstep.operations.redrive import redrive
    from lockstep.operations.redrive_keys import redrive_keys
    from lockstep.operations.run import run
    from lockstep.operations.status import status
    from lockstep.operations.stuck import retry, stuck
    from lockstep.operations.verify import verify
    from lockstep.recovery.deploy import deploy
    from lockstep.recovery.drill import drill
    from lockstep.recovery.listing import snapshots
    from lockstep.recovery.restore import restore
    from lockstep.recovery.retire import retire
    from lockstep.recovery.rollback import rollback
    from lockstep.recovery.snapshot import snapshot
    from lockstep.systems.opensearch import Elasticsearch, OpenSearch
    from lockstep.systems.postgres import Postgres
    from lockstep.systems.sqlite import SQLite
    from lockstep.systems.tantivy import Tantivy
    from lockstep.systems.zuora.system import Zuora

# Imported on first use: `import lockstep` needs no driver, and `lockstep status` stays quick.
_LAZY = {
    "Elasticsearch": ("lockstep.systems.opensearch", "elasticsearch"),
    "Judgement": ("lockstep.operations.guard", ""),
    "OpenSearch": ("lockstep.systems.opensearch", "opensearch"),
    "Postgres": ("lockstep.systems.postgres", "postgres"),
    "SQLite": ("lockstep.systems.sqlite", ""),
    "Tantivy": ("lockstep.systems.tantivy", "tantivy"),
    "Zuora": ("lockstep.systems.zuora.system", "zuora"),
    "accept": ("lockstep.operations.reports", ""),
    "adopt": ("lockstep.operations.adopt", ""),
    "approve": ("lockstep.operations.holds", ""),
    "backfill": ("lockstep.operations.backfill", ""),
    "check": ("lockstep.operations.check", ""),
    "deploy": ("lockstep.recovery.deploy", ""),
    "drill": ("lockstep.recovery.drill", ""),
    "explain": ("lockstep.operations.explain", ""),
    "explore": ("lockstep.exploration.system", ""),
    "guard_fleet": ("lockstep.operations.guard", ""),
    "guard_terraform": ("lockstep.operations.guard", ""),
    "history": ("lockstep.operations.history", ""),
    "holds": ("lockstep.operations.holds", ""),
    "move_readers": ("lockstep.operations.move_readers", ""),
    "plan": ("lockstep.operations.plan", ""),
    "redrive": ("lockstep.operations.redrive", ""),
    "redrive_keys": ("lockstep.operations.redrive_keys", ""),
    "reject": ("lockstep.operations.holds", ""),
    "repair": ("lockstep.operations.repair", ""),
    "report": ("lockstep.operations.reports", ""),
    "reports": ("lockstep.operations.reports", ""),
    "restore": ("lockstep.recovery.restore", ""),
    "retire": ("lockstep.recovery.retire", ""),
    "retry": ("lockstep.operations.stuck", ""),
    "rollback": ("lockstep.recovery.rollback", ""),
    "run": ("lockstep.operations.run", ""),
    "snapshot": ("lockstep.recovery.snapshot", ""),
    "snapshots": ("lockstep.recovery.listing", ""),
    "status": ("lockstep.operations.status", ""),
    "stuck": ("lockstep.operations.stuck", ""),
    "verify": ("lockstep.operations.verify", ""),
}

__all__ = [
    "CheckFailed",
    "Clock",
    "DataError",
    "DeclarationError",
    "Disagreement",
    "Elasticsearch",
    "Equal",
    "Far",
    "Finding",
    "Guard",
    "HeldBack",
    "Interval",
    "Judgement",
    "Keyed",
    "LockstepError",
    "MappingStopped",
    "Model",
    "Numbers",
    "OpenSearch",
    "Pipeline",
    "PlanUnreadable",
    "Postgres",
    "Range",
    "Reference",
    "Refused",
    "SQLite",
    "StateError",
    "StateInUse",
    "Tantivy",
    "TargetReplaced",
    "Timeline",
    "Unreachable",
    "UsageError",
    "Zuora",
    "accept",
    "adopt",
    "approve",
    "backfill",
    "check",
    "column",
    "count",
    "deploy",
    "drill",
    "explain",
    "explore",
    "guard_fleet",
    "guard_terraform",
    "history",
    "holds",
    "key",
    "load",
    "many",
    "move_readers",
    "one",
    "personal",
    "plan",
    "redrive",
    "redrive_keys",
    "ref",
    "reject",
    "repair",
    "report",
    "reports",
    "restore",
    "retire",
    "retry",
    "rollback",
    "run",
    "snapshot",
    "snapshots",
    "status",
    "stuck",
    "total",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'lockstep' has no attribute {name!r}")
    module, extra = _LAZY[name]
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        if not extra or (error.name or "").startswith("lockstep"):
            raise
        raise DeclarationError(
            f"ls.{name} needs a package that is not installed: {error.name}",
            f"Install it with: pip install 'lockstep-sync[{extra}]'",
        ) from error
