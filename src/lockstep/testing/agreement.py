"""assert_agreement: a user's own test asks whether source and target are the same, and reads what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockstep.agreement.report import Divergence, Report
    from lockstep.declaration.pipeline import Pipeline

_SHOWN = 10
_WIDE = 200


def assert_agreement(
    pipeline: Pipeline, *mappings: str, method: str = "deep", patience: float = 30.0
) -> tuple[Report, ...]:
    """Verifies these mappings, or all; their reports. Raises AssertionError that names what differs.

    Deep where nothing is said: a test has few records, and is to trust nothing stored. Beside a live run it
    waits for changes on their way, for `patience` seconds at most.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    reports = pipeline.verify(*mappings, method=method, patience=patience)
    wrong = [report for report in reports if not report.agreement]
    if wrong:
        raise AssertionError("\n\n".join("\n".join(_lines(report)) for report in wrong))
    return reports


def _lines(report: Report) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.counts.items()))
    yield f"{report.mapping} is not in agreement ({report.method} check): {counts}"
    for one in report.divergences[:_SHOWN]:
        yield f"  {one.kind} {one.subject}"
        yield from (f"    {line}" for line in _said(one))
    left = sum(report.counts.values()) - min(len(report.divergences), _SHOWN)
    if left:
        yield f"  and {left:,} more"


def _said(one: Divergence) -> Iterator[str]:
    if one.reason:
        yield one.reason
    if one.cause:
        yield f"cause: {one.cause}"
    for field in one.fields[:_SHOWN]:
        yield f"{field.path}: expected {_short(field.expected)}, found {_short(field.actual)}"
    if len(one.fields) > _SHOWN:
        yield f"and {len(one.fields) - _SHOWN:,} fields more"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"
