"""Which target a person means."""

from __future__ import annotations

from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.errors import DeclarationError
from lockstep.ports import Target


def target_named(pipeline: Pipeline, name: str | None) -> Target:
    """The target that a person named, by its own name or by that of a mapping that writes it; the only one
    where none is named. Raises DeclarationError that names what there is."""
    require_pipeline(pipeline)
    if name is None:
        if len(pipeline.targets()) == 1:
            return next(iter(pipeline.targets().values()))
        raise DeclarationError(
            f"pipeline {pipeline.name} has several targets", f"Name one: {', '.join(pipeline.targets())}."
        )
    if name in pipeline.mappings:
        return pipeline.mappings[name].target
    targets = pipeline.targets()
    if name in targets:
        return targets[name]
    raise DeclarationError(
        f"there is no mapping or target {name!r} in pipeline {pipeline.name}",
        f"There are: {', '.join([*pipeline.mappings, *targets])}.",
    )
