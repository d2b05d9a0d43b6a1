"""Saved states of a target, and several builds of it side by side."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lockstep.values import Identity, Saved


class Repository(Protocol):
    """Where the saved states of one target lie. `name`s are Lockstep's own: lower-case letters, digits, -.

    Raises Refused with the mend where the place cannot be used, or is full; a half-made saved state is never
    listed as whole, and nothing else that lies there is touched."""

    def save(self, generation: int, name: str) -> Saved:
        """Saves one build, with all that every write acknowledged before has left; durable when it returns.
        Writes may go on meanwhile and are in it or not. Asked again after a crash, it goes on or begins anew;
        what is whole under that name is only returned. TargetReplaced where there is no such build."""
        ...

    def saved(self) -> list[Saved]:
        """What is whole, oldest first."""
        ...

    def damage(self, name: str) -> str | None:
        """What is wrong with a saved state, in words, as far as can be told without restoring it (it is gone,
        a file's checksum differs); None where nothing is."""
        ...

    def restore(self, name: str, generation: int, marker: str) -> Identity:
        """Makes a build from what was saved, records and metadata, with this marker; nobody searches it yet.
        Idempotent: asked again after a crash with the same marker it goes on or begins anew; once it is done,
        nothing is changed, and what was written since stays. Refuses where a build of another marker stands
        there, or the saved state is damaged; then nothing is left behind.

        A target that has one build only (no `Generational`) replaces what stands there with what was saved,
        in one transaction; generation 0 of it is a scratch table beside."""
        ...

    def progress(self) -> float | None:
        """How much of the save or restore under way is done, from 0 to 1; None where nobody knows. Asked by
        another thread."""
        ...

    def forget(self, name: str) -> None:
        """Removes a saved state, whole or half-made. No error where there is none."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Restorable(Protocol):
    """A target whose builds can be saved and brought back by its own means."""

    def repository(self) -> Repository:
        """Opens nothing yet. Raises DeclarationError, saying how to declare one, where none is."""
        ...

    def remove(self, generation: int, marker: str) -> None:
        """Removes a build that nobody searches, with all that Lockstep keeps beside it. Refuses where it is
        searched or has another marker. No error where there is none. Generation 0 is a rehearsal's."""
        ...


@runtime_checkable
class Generational(Protocol):
    """A target that can hold several builds side by side, one of which is searched."""

    def searched(self) -> int | None:
        """The generation that readers see; None where none is, or where they see what one was made of,
        until a person moves them (`Copying`)."""
        ...

    def assert_pointable(self, generation: int) -> None:
        """Raises Refused, as `point` would, where readers see what is not to be taken from them. Changes
        nothing, and does not ask whether there is such a build."""
        ...

    def point(self, generation: int) -> None:
        """Makes readers see this build, from one moment to the next: no read fails meanwhile, and none sees
        both or neither; where they see what it was made of, they stay there. Safe to repeat. TargetReplaced
        where there is no such build, or it lacks a marker."""
        ...

    def remove(self, generation: int, marker: str) -> None:
        """As in `Restorable`."""
        ...
