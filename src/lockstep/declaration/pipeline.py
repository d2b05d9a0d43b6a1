"""A pipeline: the mappings that are run together, on one state store."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

import msgspec

from lockstep.declaration.amounts import Amounts, ByName, declared_amounts
from lockstep.declaration.ends import assert_source, assert_target
from lockstep.declaration.invariant import Equal, Invariant, declared
from lockstep.declaration.mapping import Keyed, Mapping
from lockstep.declaration.model import Model
from lockstep.errors import DeclarationError
from lockstep.limits import Guard
from lockstep.place import KEPT, Place, place_of
from lockstep.ports import Source, Target
from lockstep.values import Table

if TYPE_CHECKING:
    from lockstep.agreement.report import Report


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=Model)
P = ParamSpec("P")
Result = TypeVar("Result", bound=dict[str, Any] | msgspec.Struct | _Dataclass | Keyed | list[Keyed] | None)


Amounted = TypeVar("Amounted", bound=ByName)


class Checks(NamedTuple):
    """How a mapping is checked while it runs: how often, in seconds, None for never; and what becomes of what
    is found, "report" or "repair". `checked` raises DeclarationError for anything else."""

    every: float | None = None
    on_drift: str = "report"

    def checked(self) -> Checks:
        """Itself, where it has a meaning."""
        if self.on_drift not in ("report", "repair"):
            raise DeclarationError(f"there is no on_drift={self.on_drift!r}", "Use report or repair.")
        if self.every is not None and self.every <= 0:
            raise DeclarationError(f"verify_every={self.every!r} is no time", "Give seconds, such as 600.")
        return self


class Pipeline:
    """Names mappings. `state` is where its journal and ledger live: a directory (`.lockstep` beside the file
    where nothing is said) or the URL of a PostgreSQL database. `keep`: seconds for which its journal
    keeps what everybody has settled, a day by default; so far back `lockstep redrive` reaches."""

    def __init__(self, name: str, *, state: str | Place | None = None, keep: float = KEPT) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
            raise DeclarationError(
                f"the pipeline's name {name!r} cannot name a slot or an index",
                "Use lower-case letters, digits and _, at most 41, a letter first.",
            )
        if not (math.isfinite(keep) and keep > 0):
            raise DeclarationError(f"keep={keep!r} is no time", "Give seconds, such as 7 * 86_400.")
        self.name = name
        self.keep = keep
        self.state = place_of(state) if state is not None else None
        self.file: Path | None = None  # that it was loaded from
        self.mappings: dict[str, Mapping] = {}
        self.checks: dict[str, Checks] = {}
        self.invariants: dict[str, Invariant] = {}
        self.by_date: dict[str, Amounts] = {}

    def mapping(
        self,
        source: Source,
        *,
        to: Target,
        key: Any = None,
        name: str | None = None,
        version: str | None = None,
        zone: str = "UTC",
        verify_every: float | None = None,
        on_drift: str = "report",
        guard: Guard | None = None,
    ) -> Callable[[Callable[Concatenate[S, P], Result]], Callable[Concatenate[S, P], Result]]:
        """Declares a mapping: a pure function of a shape of `source`, whose result belongs in `to`.

        `key`: the root's field (or a tuple) that is the target's key, when it is not the root's own.
        `version`: changes when the meaning does; by default a hash of the function's module.
        `guard`: how much may be removed or changed before a person is asked, where the defaults do not fit.
        `zone`: the time zone in which `clock.reached(date)` counts days.
        `verify_every`: a run checks agreement every so many seconds, and does with what it finds what
        `on_drift` says: "report" keeps it, "repair" mends what is Lockstep's to mend.

        Raises DeclarationError when the annotations have no one meaning, and for what is no source or target.
        """

        def declare(
            function: Callable[Concatenate[S, P], Result],
        ) -> Callable[Concatenate[S, P], Result]:
            given = name or function.__name__
            assert_source(source, given)
            assert_target(to, given)
            if given in self.mappings:
                raise DeclarationError(
                    f"two mappings are named {given!r}", "Give one of them name=… of its own."
                )
            self.checks[given] = Checks(verify_every, on_drift).checked()
            self.mappings[given] = Mapping(
                function, source, to, name=given, key=key, version=version, zone=zone, guard=guard
            )
            return function

        return declare

    def verify(
        self,
        *mappings: str,
        method: str = "fast",
        share: float = 0.01,
        patience: float = 30.0,
        resume: bool = False,
        jobs: int | None = None,
    ) -> tuple[Report, ...]:
        """Checks these mappings, or all: one report each, in the order in which they were named or declared.

        The arguments are those of `ls.verify`, which checks one.
        """
        from lockstep.operations.verify import verify

        names = list(dict.fromkeys(mappings)) or list(self.mappings)
        for name in names:
            self.named(name)
        return tuple(
            verify(self, name, method=method, share=share, patience=patience, resume=resume, jobs=jobs)
            for name in names
        )

    def invariant(
        self, source: Source, target: Target, *, tolerance: Decimal | int = 0, why: str = ""
    ) -> Callable[[Callable[[], Equal]], Callable[[], Equal]]:
        """Declares what must come to the same in a source and in a target that a mapping keeps: counts or
        totals, by group. `verify` checks it with that mapping.

        `tolerance`: how far apart a group may be; one above 0 needs a reason, `why`. Raises DeclarationError.
        """

        def declare(function: Callable[[], Equal]) -> Callable[[], Equal]:
            made = declared(function, source, target, tolerance, why)
            self._assert_new(made.name)
            if not any(
                (one.source.name, one.target.name) == (source.name, target.name)
                for one in self.mappings.values()
            ):
                raise DeclarationError(
                    f"invariant {made.name}: no mapping leads from {source.name} to {target.name}",
                    "Declare the mapping first: it is what keeps the two equal.",
                )
            if made.table.name not in {table.name for table in self.tables(source.name)}:
                raise DeclarationError(
                    f"invariant {made.name}: no mapping reads {made.table.name}, so nothing follows it",
                    "Aggregate a table that a mapping reads: only of these it is known what is on its way.",
                )
            self.invariants[made.name] = made
            return function

        return declare

    def amounts(
        self, mapping: str, *, tolerance: Decimal | int = 0, why: str = ""
    ) -> Callable[[Callable[[S], Amounted]], Callable[[S], Amounted]]:
        """Declares what each record of a mapping amounts to at every date, from the source's own rows: a dict
        of timelines of Decimals, by currency. `verify` holds it against what the target says by itself; of
        Zuora's accounts that is the monthly recurring revenue. `tolerance`, `why`: as of an invariant."""

        def declare(function: Callable[[S], Amounted]) -> Callable[[S], Amounted]:
            of = self.named(mapping)
            read = {table.name for table in self.tables(of.source.name)}
            made = declared_amounts(function, of, read, tolerance, why)
            self._assert_new(made.name)
            self.by_date[made.name] = made
            return function

        return declare

    def _assert_new(self, name: str) -> None:
        if name in self.invariants or name in self.by_date:
            raise DeclarationError(f"two invariants are named {name!r}", "Give one of them another name.")

    def invariants_of(self, mapping: Mapping) -> list[Invariant]:
        """The invariants that are checked with a mapping: those of its source and target, with the first
        mapping between the two."""
        between = (mapping.source.name, mapping.target.name)
        first = next(one for one in self.mappings.values() if (one.source.name, one.target.name) == between)
        return [
            one
            for one in self.invariants.values()
            if first is mapping and (one.source.name, one.target.name) == between
        ]

    def named(self, name: str) -> Mapping:
        """A mapping by name. Raises DeclarationError that names the others."""
        if name not in self.mappings:
            known = ", ".join(self.mappings) or "none"
            raise DeclarationError(
                f"there is no mapping {name!r} in pipeline {self.name}", f"There are: {known}."
            )
        return self.mappings[name]

    def filling(self, target: Target) -> list[Mapping]:
        """Every mapping of a target."""
        return [one for one in self.mappings.values() if one.target.name == target.name]

    def sources(self) -> dict[str, Source]:
        """Every source by name."""
        return {mapping.source.name: mapping.source for mapping in self.mappings.values()}

    def targets(self) -> dict[str, Target]:
        """Every target by name."""
        return {mapping.target.name: mapping.target for mapping in self.mappings.values()}

    def tables(self, source: str) -> tuple[Table, ...]:
        """The tables of a source that its mappings read, each once, with all their columns and joins."""
        found: dict[str, Table] = {}
        for mapping in self.mappings.values():
            if mapping.source.name != source:
                continue
            for node in mapping.root.walk():
                known = found.get(node.table.name, node.table)
                if known.key != node.table.key:
                    raise DeclarationError(
                        f"two models of table {known.name} name different keys: "
                        f"{known.key} and {node.table.key}",
                        "Mark the same key columns in both.",
                    )
                found[known.name] = known.together(node.table)
        return tuple(found.values())

    def claims(self, mapping: Mapping) -> bool:
        """Whether its target keys must be claimed: they do not follow from the source keys alone."""
        return self.shares_target(mapping) or not mapping.key_is_root_key

    def shares_target(self, mapping: Mapping) -> bool:
        """Whether another mapping writes the same target."""
        return bool(self.beside(mapping))

    def beside(self, mapping: Mapping) -> list[Mapping]:
        """The other mappings that write the same target."""
        return [
            other
            for other in self.mappings.values()
            if other is not mapping and other.target.name == mapping.target.name
        ]


def require_pipeline(given: object, also: str = "") -> None:
    """Raises DeclarationError where something else was given."""
    if not isinstance(given, Pipeline):
        raise DeclarationError(
            f"{given!r} is no pipeline",
            f"Give the ls.Pipeline itself, or load it: ls.load('pipeline.py'){'; ' + also if also else ''}.",
        )
