"""The methods by which a mapping is checked: how each looks, and whether one can go on where it ended."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from lockstep.agreement.bookmark import Bookmark, Reached
from lockstep.agreement.deep import begin, deep
from lockstep.agreement.fast import fast
from lockstep.agreement.report import Report
from lockstep.agreement.sampling import sample
from lockstep.agreement.scope import Scope
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.holds.sample import changed_meaning, passing_over
from lockstep.engine.recipe import recipe
from lockstep.errors import DeclarationError
from lockstep.forms import keys
from lockstep.operations.beside import Beside
from lockstep.operations.processes import lookers
from lockstep.operations.unfinished import amiss, bookmark_of, going_on
from lockstep.state.generations import Consumer


class Checking(NamedTuple):
    """One mapping as it is checked. `position`: of the source's log when that began."""

    pipeline: Pipeline
    consumer: Consumer
    standing: Beside
    scope: Scope
    position: str | None


class Method(Protocol):
    """One check's."""

    name: str

    @property
    def goes_on(self) -> bool:
        """Whether a deep check can go on where this one ended before its time."""
        ...

    def look(self, at: Checking) -> Report:
        """Raises Unreachable or Refused when a system does not answer."""
        ...


def method_of(name: str, *, share: float, resume: bool, jobs: int | None) -> Method:
    """The one of this name. See `verify`. Raises DeclarationError for what it cannot be asked."""
    known: dict[str, Method] = {
        one.name: one for one in (Fast(jobs), Deep(jobs, resume=resume), Sample(share))
    }
    if name not in known:
        raise DeclarationError(f"there is no method {name!r}", "Use fast, deep or sample.")
    if resume and name != Deep.name:
        raise DeclarationError(f"a {name} check is never resumed", "Resume a deep one, or begin anew.")
    if jobs is not None and (jobs < 1 or name == Sample.name):
        raise DeclarationError(f"jobs={jobs} of a {name} check", "Give 1 or more to one that looks at all.")
    return known[name]


class Sample:
    """Of a share of the keys."""

    name = "sample"
    goes_on = False

    def __init__(self, share: float) -> None:
        self._share = share

    def look(self, at: Checking) -> Report:
        report = sample(at.scope, self._share, at.standing.place)
        return msgspec.structs.replace(report, position=at.position)


class Fast:
    """By sums; a deep one, whose place is not kept, where the ledger's cannot be trusted."""

    name = "fast"
    goes_on = False

    def __init__(self, jobs: int | None) -> None:
        self._jobs = jobs

    def look(self, at: Checking) -> Report:
        doubt = _doubt(at)
        if doubt is not None:
            return _deep(at, begin(at.scope, at.position), self._jobs, doubt)
        return msgspec.structs.replace(fast(at.scope, at.standing.place), position=at.position)


class Deep:
    """Everything derived and read; how far it comes is kept."""

    name = "deep"

    def __init__(self, jobs: int | None, *, resume: bool) -> None:
        self._jobs = jobs
        self._resume = resume
        self._bookmark: Bookmark | None = None

    @property
    def goes_on(self) -> bool:
        return self._bookmark is not None and self._bookmark.kept

    def look(self, at: Checking) -> Report:
        self._bookmark = bookmark_of(at.scope.mapping, at.consumer, at.standing.store, at.scope.door)
        reached, notes = begin(at.scope, at.position), tuple[str, ...]()
        if self._resume:
            found = going_on(self._bookmark, at.consumer, at.standing.store)
            if isinstance(found, str):
                notes = (found,)
            else:
                reached = found
        return _deep(at, reached, self._jobs, *notes, bookmark=self._bookmark)


def _deep(
    at: Checking, reached: Reached, jobs: int | None, *notes: str, bookmark: Bookmark | None = None
) -> Report:
    place = at.standing.place
    looking = lookers(at.pipeline, at.consumer, at.scope, reached.cuts, jobs, place.check)
    again = amiss(at.consumer, at.standing.store)
    report = deep(at.scope, reached, place, *notes, bookmark=bookmark, lookers=looking, again=again)
    return msgspec.structs.replace(report, position=reached.position)


def _doubt(at: Checking) -> str | None:
    """Why nothing stored can be trusted: what the ledger says was sent is not what would be sent now."""
    mapping, consumer, store = at.scope.mapping, at.consumer, at.standing.store
    if consumer.version != mapping.version:
        return "everything was derived again: the mapping is not the one that the ledger speaks of"
    if consumer.recipe != recipe(mapping):
        return "everything was derived again: the ledger's sums are of other columns, or made in another way"
    if passing_over(consumer, store):
        return None
    other = changed_meaning(mapping, consumer, store, at.scope.reader)
    if other is not None:
        key = keys.text(other.first.key)
        return f"everything was derived again: {key} means something else than when it was written"
    return None
