"""A sample: as the deep check, for a share of the keys, of those in the source and those in the ledger."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Sequence

from lockstep.agreement.looking import Comparison
from lockstep.agreement.report import Progress, Report
from lockstep.agreement.scope import Scope
from lockstep.agreement.walk import PAGE, source_keys
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import DataError
from lockstep.values import EVERYTHING, Key


def sample(scope: Scope, share: float, on_progress: Callable[[Progress], None] | None = None) -> Report:
    """Compares a share of the source keys, chosen anew each time, field by field.

    Raises DataError where no key fell into it: having looked at nothing is no agreement.
    """
    started = time.time()
    looked_at, compared = _look(scope, share * (1 << 32), random.randrange(1 << 32), on_progress)
    if not looked_at:
        raise DataError(
            "no key fell into the sample, or the source has none: nothing was compared",
            "Take a larger share, as --sample 10%, or look at all keys with --deep.",
        )
    notes = (_confidence(looked_at),)
    return scope.findings.report(
        scope.mapping.name, "sample", started, looked_at, compared, compared, notes=notes
    )


def _look(
    scope: Scope, limit: float, seed: int, on_progress: Callable[[Progress], None] | None
) -> tuple[int, int]:
    """How many keys of the source were looked at, and how many records compared. Then at those of the ledger
    that the source has no more."""
    deriver = Deriver(scope.mapping, scope.reader)
    settler = scope.settler(deriver)
    comparison = Comparison(scope.mapping, scope.door, scope.rows)
    total = scope.reader.estimate(scope.mapping.root.table)
    done = looked_at = compared = 0

    def chosen(page: Sequence[Key]) -> list[Key]:
        return [key for key in page if zlib.crc32(key, seed) < limit]

    for page in source_keys(scope.reader, scope.mapping, 10 * PAGE):
        some = chosen(page)
        derived = deriver.derive(some, time.time())
        looked = comparison.look(derived, comparison.read(derived))
        settler.settle_keys(looked.suspects)
        looked_at += len(some)
        compared += looked.compared
        done += len(page)
        if on_progress is not None:
            on_progress(Progress("source", done, max(done, total)))
    for rows in scope.ledger.rows(EVERYTHING, 10 * PAGE):
        some = chosen([row.key for row in rows])
        gone = [key for key, one in deriver.derive(some, time.time()).items() if one.root is None]
        settler.settle_keys(gone)
    return looked_at, compared


def _confidence(looked_at: int) -> str:
    """What a sample without a divergence says of the rest: with 95 % confidence below 3 in n differ."""
    if looked_at < 3:
        return f"{looked_at:,} keys were looked at, which says nothing of the others"
    return (
        f"{looked_at:,} keys were looked at: where none differs, fewer than 1 in {looked_at // 3:,} of all "
        "keys do, with 95 % confidence; records that nobody derives are not looked for"
    )
