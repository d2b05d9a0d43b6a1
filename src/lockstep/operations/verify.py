"""verify: the deep check of one mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lockstep.agreement.verify import Progress, Report
from lockstep.agreement.verify import verify as check
from lockstep.database import Access
from lockstep.engine.decide import owned
from lockstep.errors import StateError
from lockstep.operations.opened import closed_door, existing
from lockstep.pipeline import Pipeline
from lockstep.state.rows import Owned
from lockstep.values import Key


def verify(
    pipeline: Pipeline, mapping: str, *, on_progress: Callable[[Progress], None] | None = None
) -> Report:
    """Derives everything again, reads every target record, and compares them field by field.

    Works beside a live run: what differs is read again before it is reported. Raises StateError when
    the mapping never ran.
    """
    declared = pipeline.named(mapping)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = store.generations.consumer(mapping, declared.target.name)
        if consumer is None:
            raise StateError(f"mapping {mapping} has never run", "Start it with `lockstep run` first.")

        def ledger(wanted: Sequence[Key]) -> dict[Key, Mapping[Key, Owned]]:
            rows = store.ledger.rows(consumer.id, wanted)
            return {key: owned(row, declared.default_key) for key, row in rows.items()}

        sharing = [
            other.name
            for other in pipeline.mappings.values()
            if other.target.name == declared.target.name and other.name != mapping
        ]
        reader = declared.source.reader()
        try:
            with closed_door(declared, consumer.number) as door:
                report = check(
                    declared, reader, door, ledger=ledger, sharing=sharing, on_progress=on_progress
                )
        finally:
            reader.close()
        found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.counts.items()))
        verdict = "agreement" if report.agreement else found
        store.generations.note_verified(consumer.id, report.started_at, verdict)
        return report
