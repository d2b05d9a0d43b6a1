"""Mappings: a shape, the function that says what it means in the target, and what it returned."""

from __future__ import annotations

import datetime as dt
import inspect
import types
import zoneinfo
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from lockstep.datatypes.far import Far, FarDate, FarDatetime, FarTime
from lockstep.datatypes.interval import Interval
from lockstep.declaration.described import describe
from lockstep.declaration.mapping_code import code_version, names_near, raised_at
from lockstep.declaration.model import Model
from lockstep.declaration.shape import Node, resolve
from lockstep.effective import Timeline
from lockstep.errors import DataError, DeclarationError
from lockstep.forms import keys
from lockstep.forms.canonical import Formed, fingerprint, formed
from lockstep.limits import Guard
from lockstep.ports import Source, Target
from lockstep.values import Fingerprint, Key, Record

LEAVES = (
    *(bytes, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, UUID),
    *(FarDate, FarDatetime, FarTime, Interval),
)


class Keyed(msgspec.Struct, frozen=True):
    """A target record with its own key, for a mapping that returns several."""

    key: Any
    record: Any


class Clock:
    """The only clock a mapping may ask: `clock.reached(date)`, in the zone the mapping declares.

    Remembers the next moment at which an answer would differ: `due`, in seconds since the epoch.
    """

    def __init__(self, now: float, zone: dt.tzinfo) -> None:
        self._now = now
        self._zone = zone
        self.due: float | None = None

    def reached(self, moment: dt.date | dt.datetime) -> bool:
        """Whether a date has begun, or a moment come."""
        if isinstance(moment, Far):
            return moment.place < 0  # before the year 1, or not within our time
        if not isinstance(moment, dt.datetime):
            moment = dt.datetime(moment.year, moment.month, moment.day, tzinfo=self._zone)
        elif moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        at = moment.timestamp()
        if at <= self._now:
            return True
        if self.due is None or at < self.due:
            self.due = at
        return False


class Desired(msgspec.Struct, frozen=True):
    """A target record as derived: with its key, its fingerprint, and itself. `plain`: see `values.Change`."""

    key: Key
    fingerprint: Fingerprint
    record: Record
    plain: bool = False


class Mapping:
    """One mapping of a pipeline. `name` is unique in it; `version` changes when its code does."""

    def __init__(
        self,
        function: Callable[..., Any],
        source: Source,
        target: Target,
        *,
        name: str,
        key: Any,
        version: str | None,
        zone: str,
        guard: Guard | None = None,
    ) -> None:
        self.function = function
        self.source = source
        self.target = target
        self.name = name
        self.guard = guard or Guard()
        self.shape, self._wants_clock, self._may_key = _signature(function)
        self.root: Node = resolve(self.shape)
        self.key_fields = _key_fields(key, self.shape, name)
        self._key_values = _values_of(self.key_fields)
        own_key = tuple(column.field for column in describe(self.shape).key)
        self.key_is_root_key = not self._may_key and self.key_fields == own_key
        """Whether the record's key follows from the root's key alone: never where ls.Keyed may say it."""
        self.version = version or code_version(function)
        try:
            self._zone: dt.tzinfo = zoneinfo.ZoneInfo(zone) if zone != "UTC" else dt.UTC
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise DeclarationError(
                f"{name}: there is no time zone {zone!r}", "Name one such as Europe/Berlin."
            ) from error

    def __repr__(self) -> str:
        return f"<Mapping {self.name}: {self.shape.__name__} → {self.target.name}>"

    def default_key(self, key: Key) -> Key:
        """The target key that is the source key, as the target writes it."""
        return self.target.key(keys.decode(key))

    def derive(self, root: Model, now: float) -> tuple[list[Desired], float | None]:
        """What the target should hold for one root, and when to ask again.

        Raises DataError for whatever the mapping raises or returns wrongly.
        """
        clock = Clock(now, self._zone) if self._wants_clock else None
        try:
            returned = self.function(root) if clock is None else self.function(root, clock)
        except (Exception, SystemExit) as error:  # sys.exit() would end its thread, and say nothing
            raise DataError(
                f"the mapping raised {type(error).__name__}: {error}{raised_at(error, self.function)}",
                f"Mend {self.name}, or the record; then `lockstep retry {self.name}`.",
            ) from error
        return self.desired(root, returned), None if clock is None else clock.due

    def desired(self, root: Model, returned: Any) -> list[Desired]:
        """What the mapping returned, keyed, in canonical form, with fingerprints."""
        if returned is None:
            return []
        if isinstance(returned, list):
            found = [self._keyed(item) for item in returned]
        elif isinstance(returned, Keyed):
            found = [self._keyed(returned)]
        else:
            return [self._desired(self._key_values(root), returned)]
        if len(found) > 1 and len({item.key for item in found}) < len(found):
            raise DataError(
                f"{self.name} returned two records of one key", "Give every ls.Keyed another key."
            )
        return found

    def _keyed(self, item: Any) -> Desired:
        if isinstance(item, Keyed) and not self._may_key:
            raise DataError(
                f"{self.name} returned ls.Keyed, and its annotation does not say so",
                "Annotate its result as ls.Keyed or list[ls.Keyed]: such keys are claimed before a write.",
            )
        if not isinstance(item, Keyed):
            raise DataError(
                f"{self.name} returned a list of {type(item).__name__}",
                "Return list[ls.Keyed]: several records need a key each.",
            )
        return self._desired(item.key if isinstance(item.key, tuple) else (item.key,), item.record)

    def _desired(self, values: Sequence[Any], returned: Any) -> Desired:
        record, form = _recorded(returned, self.name)
        key = self.target.key(values)
        return Desired(key, fingerprint(key, form.form), record, form.plain)


def _recorded(returned: Any, name: str) -> tuple[Record, Formed]:
    """A mapping's result as a tree of names and values, and its form. Most return such a tree."""
    if type(returned) is dict:
        record: Record = dict(returned)  # a mapping may fill one dict again and again
        try:
            form = formed(record)
            if form.exact:
                return record, form
        except DataError:  # of what there is a record, it may be
            pass
    record = as_record(returned, name)
    return record, formed(record)


def as_record(returned: Any, name: str) -> Record:
    """A mapping's result as a tree of names and values; typed classes become dicts."""
    try:
        record = msgspec.to_builtins(
            returned, builtin_types=LEAVES, order="deterministic", str_keys=True, enc_hook=_opened
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{name} returned what no target can hold: {error}",
            "Return dicts, typed classes, lists, text, numbers, dates, uuids and bytes.",
        ) from error
    if not isinstance(record, dict):
        raise DataError(
            f"{name} returned {type(returned).__name__}, which is no record",
            "Return a dict, a typed class, None, or list[ls.Keyed].",
        )
    return record


def _opened(value: Any) -> Any:
    """What msgspec does not know by itself, as what it knows."""
    if isinstance(value, Timeline):
        return value.form()
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def _signature(function: Callable[..., Any]) -> tuple[type[Model], bool, bool]:
    """The shape it takes, whether it wants a clock, and whether its result may name its own keys."""
    name = function.__name__
    parameters = list(inspect.signature(function).parameters.values())
    try:
        hints = get_type_hints(function, localns=names_near(function))
    except Exception as error:  # whatever evaluating an annotation raises
        raise DeclarationError(f"{name}: {error}", "Import the name, or correct it.") from error
    if not parameters or not _is_model(hints.get(parameters[0].name)):
        raise DeclarationError(
            f"{name}: its first parameter is no shape",
            f"Annotate it with a model or shape: def {name}(user: Person) -> dict[str, object].",
        )
    extra = [hints.get(parameter.name) for parameter in parameters[1:]]
    if extra not in ([], [Clock]):
        raise DeclarationError(
            f"{name} takes parameters that nobody can give",
            "A mapping takes a shape, and `clock: ls.Clock` when it depends on time.",
        )
    return hints[parameters[0].name], bool(extra), _may_key(hints.get("return", Any))


def _may_key(hint: Any) -> bool:
    """Whether a result so annotated may hold ls.Keyed; where nobody says, it may."""
    if hint in (Any, object, list) or isinstance(hint, TypeVar):
        return True
    if isinstance(hint, type) and issubclass(hint, Keyed):
        return True
    if get_origin(hint) in (Union, types.UnionType, list):
        return any(map(_may_key, get_args(hint)))
    return False


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Model)


def _key_fields(key: Any, shape: type[Model], name: str) -> tuple[str, ...]:
    if key is None:
        return tuple(column.field for column in describe(shape).key)
    given = key if isinstance(key, tuple) else (key,)
    fields = []
    for item in given:
        owner, field = getattr(item, "__objclass__", None), getattr(item, "__name__", "")
        if owner is None or not issubclass(shape, owner):
            raise DeclarationError(
                f"{name}: key={key!r} is no field of {shape.__name__}",
                f"Write it as key={shape.__name__}.email, or return ls.Keyed(key, record).",
            )
        fields.append(describe(shape).column(field).field)
    return tuple(fields)


def _values_of(fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from a record to the values of these fields."""
    if len(fields) > 1:
        return attrgetter(*fields)
    one = attrgetter(*fields)
    return lambda record: (one(record),)
