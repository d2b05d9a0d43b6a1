"""Opens what the operations work on: the state store, and a mapping's live generation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lockstep.database import Access
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.writing.opening import door_to
from lockstep.errors import DataError, DeclarationError, NothingYet, UsageError
from lockstep.forms import keys
from lockstep.guard.door import Door
from lockstep.guard.policies import Closed
from lockstep.place import Place, StateUrl
from lockstep.state.generations import Consumer
from lockstep.state.store import Store, exists
from lockstep.values import Key


@contextlib.contextmanager
def opened(state: Place | Pipeline, access: Access = Access.RUN) -> Iterator[Store]:
    """The state store of a place or a pipeline; a run makes it when it is not there."""
    store = Store(state_of(state), access)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def existing(state: Place | Pipeline, access: Access = Access.LOOK) -> Iterator[Store]:
    """The state store that some run made. Raises NothingYet where none ever ran."""
    place = state_of(state)
    if not exists(place):
        raise NothingYet(
            f"nothing has run yet: there is no state in {place}",
            "Go to the pipeline's directory, or name it with --pipeline or --state. What is new begins with "
            "`lockstep run`.",
        )
    with opened(place, access) as store:
        yield store


@contextlib.contextmanager
def looking(state: Place | Pipeline) -> Iterator[Store | None]:
    """The state store for who only looks: None where nothing ever ran, and none is made."""
    if not exists(state_of(state)):
        yield None
        return
    with opened(state, Access.LOOK) as store:
        yield store


def state_of(state: Place | Pipeline) -> Place:
    """The place of a pipeline's state store."""
    if isinstance(state, Path | StateUrl):
        return state
    require_pipeline(state, "or the place of its state: pathlib.Path(DIRECTORY)")
    if state.state is None:
        raise DeclarationError(
            f"pipeline {state.name} has no state directory",
            "Give it one: ls.Pipeline(name, state=DIRECTORY), or load it from a file with ls.load(path).",
        )
    return state.state


def consumer_of(store: Store, mapping: str, target: str | None = None) -> Consumer:
    """A mapping's consumer, of this target where one is named: then the pipeline has such a mapping, and
    NothingYet says that it never ran. Else UsageError says that nobody knows the name."""
    found = store.generations.consumer(mapping, target)
    if found is None:
        known = ", ".join(one.mapping for one in store.generations.consumers()) or "none"
        error = UsageError if target is None else NothingYet
        raise error(
            f"no run knows a mapping {mapping!r} (known: {known})", "Start it with `lockstep run` first."
        )
    return found


@contextlib.contextmanager
def closed_door(mapping: Mapping, generation: int, store: Store | None) -> Iterator[Door]:
    """One generation of a mapping's target, to look at: nothing can be written through it. `store` is None
    where nothing ever ran."""
    door = door_to(mapping.target, generation, store, policies=(Closed(),))
    try:
        yield door
    finally:
        door.close()


def parse_key(mapping: Mapping, typed: str) -> Key:
    """A source key as a person typed it: `7`, or `acme|7` for two key columns.

    Raises DataError that says what the key is made of.
    """
    (key,) = parse_keys(mapping, [typed])
    return key


def parse_keys(mapping: Mapping, typed: Sequence[str]) -> list[Key]:
    """As `parse_key`; raises for the first that is none."""
    found = keys_or_errors(mapping, typed)
    for one in found:
        if isinstance(one, DataError):
            raise one
    return [one for one in found if not isinstance(one, DataError)]


def keys_or_errors(mapping: Mapping, typed: Sequence[str]) -> list[Key | DataError]:
    """For each, in order, the key, or why it is none."""
    table = mapping.root.table
    texts = [one for one in typed if is_text(one)]
    parts = [keys.split_text(one) if len(table.key) > 1 else (one,) for one in texts]
    parsed = iter(mapping.source.parse_keys(table, parts))
    return [next(parsed) if is_text(one) else _NO_TEXT for one in typed]


def is_text(typed: str) -> bool:
    """Whether it came as UTF-8: Python makes half characters of other bytes."""
    return not any("\ud800" <= one <= "\udfff" for one in typed)


_NO_TEXT = DataError("the key is no text: its bytes are no UTF-8", "Type it as UTF-8.")
