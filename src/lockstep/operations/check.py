"""check: everything wrong, said before anything runs, each with its mend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import msgspec

from lockstep.declaration.mapping import LEAVES, Desired, Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import DataError, DeclarationError, LockstepError
from lockstep.forms import keys
from lockstep.forms.canonical import canonical
from lockstep.operations.annotated import misannotated
from lockstep.operations.lossy import lossy
from lockstep.operations.ownership import unowned
from lockstep.ports import Restorable, Target
from lockstep.values import EVERYTHING, Finding

SAMPLES = 50


def check(pipeline: Pipeline) -> list[Finding]:
    """Asks both sides and tries every mapping on samples. Changes nothing; the blocking ones first."""
    require_pipeline(pipeline)
    found: list[Finding] = []
    healthy: set[str] = set()
    for source in pipeline.sources().values():
        own = _asked(source.name, partial(source.check, pipeline.tables(source.name)))
        found += own
        if not any(finding.blocks for finding in own):
            healthy.add(source.name)
    usable: set[str] = set()
    for target in pipeline.targets().values():
        own = _asked(target.name, target.check)
        found += own
        if not any(finding.blocks for finding in own):
            usable.add(target.name)
        found += _unsaved(target)
    for mapping in pipeline.mappings.values():
        found += _sharing(pipeline, mapping)
        if mapping.source.name in healthy:
            found += _asked(mapping.name, partial(_sampled, mapping, mapping.target.name in usable))
    found += unowned(pipeline)
    return sorted(dict.fromkeys(found), key=lambda finding: not finding.blocks)


def _asked(subject: str, ask: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a system says of itself; that it does not answer is a finding too."""
    try:
        return list(ask())
    except LockstepError as error:
        return [Finding(subject, str(error), error.remedy)]


def _unsaved(target: Target) -> Iterator[Finding]:
    """Whether it is declared where states of a target that can be saved lie."""
    if not isinstance(target, Restorable):
        return
    try:
        target.repository().close()
    except DeclarationError as error:
        yield Finding(
            target.name,
            f"if it is lost, only a pass over all keys can bring it back: {error}",
            error.remedy,
            blocks=False,
        )


def _sharing(pipeline: Pipeline, mapping: Mapping) -> Iterator[Finding]:
    """Two mappings of one target may derive the same record: then each field has two writers."""
    for other in pipeline.mappings.values():
        if other.name <= mapping.name or other.target.name != mapping.target.name:
            continue
        if mapping.key_is_root_key and other.key_is_root_key:
            same = mapping.root.table.name == other.root.table.name
            yield Finding(
                f"{mapping.name}, {other.name}",
                f"both write {mapping.target.name}, and both take the root's key as the record's"
                + (": every field of every record has two writers" if same else ""),
                f"Write to two targets, or give one a key of its own: key={other.shape.__name__}.…, "
                "or return ls.Keyed."
                + ("" if same else " Where keys meet, the second record is stuck and says so."),
                blocks=same,
            )


def _sampled(mapping: Mapping, holds: bool) -> Iterator[Finding]:
    """Runs the mapping on samples: twice, and with its lists turned round; `holds`: the target can be asked
    what it would hold of them."""
    reader = mapping.source.reader()
    try:
        with reader.snapshot() as snapshot:
            sample = snapshot.keys(mapping.root.table, EVERYTHING, SAMPLES).keys
        deriver = Deriver(mapping, reader)
        now = time.time()
        first = deriver.derive(sample, now)
        again = deriver.roots(sample)
        turned = deriver.roots(sample)
    finally:
        reader.close()
    failed = [one for one in first.values() if one.error is not None]
    if failed:
        error = failed[0].error
        assert error is not None
        yield Finding(
            mapping.name,
            f"{len(failed)} of {len(first)} samples fail; {keys.text(failed[0].key)}: {error}",
            error.remedy,
            blocks=len(failed) == len(first),
        )
    roots = [one.root for one in first.values() if one.root is not None]
    yield from misannotated(mapping, roots)
    if holds:
        derived = [item.record for one in first.values() if one.error is None for item in one.desired]
        yield from lossy(mapping, roots, derived)
    for key, one in first.items():
        if one.error is not None or one.root is None or key not in again:
            continue
        finding = _impure(mapping, again[key], one.desired, now) or _order(
            mapping, turned[key], one.desired, now
        )
        if finding is not None:
            yield finding
            return


def _impure(mapping: Mapping, root: Any, desired: list[Desired], now: float) -> Finding | None:
    before = canonical({"": msgspec.to_builtins(root, builtin_types=LEAVES)})
    try:
        second = mapping.derive(root, now)[0]
    except DataError as error:
        return Finding(mapping.name, f"the second run on one record failed: {error}", error.remedy)
    if canonical({"": msgspec.to_builtins(root, builtin_types=LEAVES)}) != before:
        return Finding(
            mapping.name,
            "the mapping changes the records it is given",
            "Copy a list before you sort or change it: sorted(user.tags, …), not user.tags.sort().",
        )
    if _prints(second) != _prints(desired):
        return Finding(
            mapping.name,
            "the mapping is not pure: one record gave two results",
            "Take clocks, random numbers, look-ups and sets out of it; ask `clock: ls.Clock` for time.",
        )
    return None


def _order(mapping: Mapping, root: Any, desired: list[Desired], now: float) -> Finding | None:
    if not _turn(root):
        return None
    try:
        shuffled = mapping.derive(root, now)[0]
    except DataError:
        return None
    if _prints(shuffled) == _prints(desired):
        return None
    return Finding(
        mapping.name,
        "the result depends on the order of a list of related records",
        "Lists come in key order, so it is stable; to show another order, sort by it: sorted(…, key=…).",
        blocks=False,
    )


def _turn(root: Any) -> bool:
    """Turns every list of related records round, in place; whether there was one to turn."""
    turned = False
    for name in root.__struct_fields__:
        value = getattr(root, name)
        items: Iterable[Any] = ()
        if isinstance(value, list) and value and hasattr(value[0], "__struct_fields__"):
            if len(value) > 1:
                value.reverse()
                turned = True
            items = value
        elif hasattr(value, "__struct_fields__"):
            items = (value,)
        for item in items:
            turned = _turn(item) or turned
    return turned


def _prints(desired: list[Desired]) -> dict[bytes, int]:
    return {item.key: item.fingerprint for item in desired}
