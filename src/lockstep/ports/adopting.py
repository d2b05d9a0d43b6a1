"""Taking over a target that others have filled."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol, runtime_checkable

from lockstep.errors import Declined
from lockstep.values import Change, Held, Identity, Key, Outcome, Record

_ADOPTING = "adopting:"


def adopting(marker: str, mapping: str) -> str:
    """The marker of a build while a mapping takes it over: no run writes to it until that is done."""
    return f"{_ADOPTING}{marker}:{mapping}"


def half_taken(found: str | None, marker: str | None = None) -> str | None:
    """For which mapping a build was being taken over when that was broken off, by the marker that was found;
    "" where that is not said. None where it is not so, or not the build of this marker."""
    if found is None or not found.startswith(_ADOPTING):
        return None
    build, _, mapping = found.removeprefix(_ADOPTING).partition(":")
    return mapping if marker in (None, build) else None


def half_adopted(
    name: str, half: str, asked: str, *, why: str = "`lockstep adopt` was broken off", then: str = "."
) -> Declined:
    """To raise where a target is `half_taken`. `asked`: the mapping to name where the marker names none.
    `then`: what comes when that has gone on to its end."""
    return Declined(
        f"{name} is half taken over{f' for {half}' if half else ''}: {why}",
        f"Run `lockstep adopt {half or asked}` again, which goes on{then}",
    )


def assert_same_build(name: str, found: str, marker: str | None) -> None:
    """Raises Declined where the marker that was found is not of the build that this one is of."""
    if marker is None or _build(found) != _build(marker):
        raise Declined(
            f"{name} is kept by Lockstep already, from another state store (marker {found})",
            "Run against the state that made it. Two state stores cannot keep one target.",
        )


def _build(marker: str) -> str:
    """The same while it is taken over and after that."""
    return marker.removeprefix(_ADOPTING).partition(":")[0]


class Foreign(Protocol):
    """What stands where a target would be, as somebody else left it, marker or not."""

    def records(self) -> int | None:
        """About how many records stand there; None where there is nothing. Raises Declined, with the reason,
        where Lockstep could not take it over."""
        ...

    def marker(self) -> str | None:
        """The marker that stands in it, None where nobody has left one."""
        ...

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]: ...

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        """The next records, in any order. `after`: the last key of the page before."""
        ...

    def compared(self, change: Change, held: Held) -> tuple[Record, Record]:
        """What would be held were the change written, and what is held of it. Fields that a write would leave
        alone are in neither. Raises DataError where the record would not be taken."""
        ...

    def leave(self, marker: str) -> Identity:
        """Makes what Lockstep keeps beside the records, and leaves a marker, in place of one of the same
        build. No record changes. Safe to repeat. Raises Declined where another build's stands."""
        ...

    def own(self, changes: Sequence[Change]) -> list[Outcome]:
        """Adds the metadata of each change whose record is held just so at this moment, and changes nothing
        that others see: `applied`, durably. `rejected`: another record is held by now, or none."""
        ...


@runtime_checkable
class ByMeaning(Foreign, Protocol):
    """One where other values may mean the same, and metadata is kept elsewhere."""

    def remark(self, change: Change, held: Held) -> str | None:
        """What a person should know of a record that is equal only as the target means it; mostly None."""
        ...

    def pass_over(self, changes: Sequence[Change]) -> None:
        """These were compared, differ, and are left as they are. Safe to repeat."""
        ...


class Moving(Protocol):
    """Readers of a public name, to be moved from what was taken over to what was made of it.

    before       what they find; None where they were moved already
    kept         under what name it stays
    aliases      other names by which it is found, which are moved too
    left_behind  other names that go on leading to it
    carried, removed  records of others that were copied, or taken away, to catch up
    """

    @property
    def before(self) -> str | None: ...

    @property
    def kept(self) -> str | None: ...

    @property
    def carried(self) -> int: ...

    @property
    def removed(self) -> int: ...

    aliases: tuple[str, ...]
    left_behind: tuple[str, ...]

    def steps(self, note: Callable[[int], None], stopped: Callable[[], bool]) -> Generator[str]:
        """Moves them, and yields the name of each step that is done; the last is "moved". There is no moment
        at which readers find nothing. Where stopped it ends before that, all as it was. Safe to repeat, also
        after a crash."""
        ...


@runtime_checkable
class Copying(Foreign, Protocol):
    """One whose records are copied to a place of Lockstep's, beside, until readers are moved there."""

    def carry_over(self, note: Callable[[int], None], stopped: Callable[[], bool]) -> bool:
        """Copies what no source key owns, as it is; False where stopped before the end. Safe to repeat.
        `note`: called with how many records more were looked at."""
        ...

    def readers(self) -> str | None:
        """What readers still find in place of Lockstep's; None where they find that."""
        ...

    def move(self) -> Moving:
        """To move readers. Raises Declined where what they find is not what was taken over."""
        ...

    def close(self) -> None:
        """A `scan` that was not read to its end leaves nothing open in the target."""
        ...


@runtime_checkable
class AdoptingWriter(Protocol):
    """A writer that can take over a target which stands already and which Lockstep did not make."""

    def foreign(self) -> Foreign: ...
