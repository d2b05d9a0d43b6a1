"""Mappings: what they may return, what is said of what they may not, and the clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

import lockstep.declaration.model as ls
from lockstep.declaration.mapping import Clock, Desired, Keyed, Mapping
from lockstep.errors import DataError, DeclarationError
from lockstep.forms import keys
from tests.support.memory import MemorySource, MemoryTarget


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str
    until: dt.date | None


USER = User(7, "A@x", dt.date(2026, 3, 8))  # type: ignore[call-arg]
NOON = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC).timestamp()


class Color(enum.Enum):
    RED = "red"


class Doc(msgspec.Struct):
    name: str
    tags: list[str]


@dataclasses.dataclass
class Data:
    name: str
    inner: Doc


def mapping(function: Callable[..., Any], **options: Any) -> Mapping:
    said: dict[str, Any] = {"name": "m", "key": None, "version": None, "zone": "UTC", **options}
    return Mapping(function, MemorySource(), MemoryTarget(), **said)


def derived(function: Callable[..., Any], **options: Any) -> list[Desired]:
    return mapping(function, **options).derive(USER, NOON)[0]


def of(value: Any) -> Callable[[User], Any]:
    """A mapping that returns this."""

    def function(user: User) -> Any:
        return value

    return function


def test_one_record_at_the_key_of_the_root() -> None:
    def doc(user: User) -> dict[str, object]:
        return {"email": user.email.lower()}

    (one,) = derived(doc)
    assert (one.key, one.record) == (keys.encode((7,)), {"email": "a@x"})
    assert mapping(doc).key_is_root_key


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (Doc("a", ["x"]), {"name": "a", "tags": ["x"]}),
        (Data("a", Doc("b", [])), {"name": "a", "inner": {"name": "b", "tags": []}}),
        ({"at": dt.date(2026, 1, 1), "n": Decimal("1.5"), "u": UUID(int=1)}, None),
        ({"color": Color.RED}, {"color": "red"}),
        ({"tuple": (1, 2)}, {"tuple": (1, 2)}),
        ({1: "one"}, {"1": "one"}),
        ({"big": 10**40, "nan": float("inf")}, None),
    ],
)
def test_what_a_record_may_be(value: Any, record: Any) -> None:
    (one,) = derived(of(value))
    assert one.record == (value if record is None else record)


def test_a_dict_that_is_filled_again_and_again() -> None:
    """Nobody is told that a mapping may not: its records must not become one another."""
    filled: dict[str, object] = {}

    def doc(user: User) -> dict[str, object]:
        filled["email"] = user.email
        return filled

    one = mapping(doc)
    first, _ = one.derive(USER, NOON)
    one.derive(User(8, "B@x", None), NOON)  # type: ignore[call-arg]
    assert first[0].record == {"email": "A@x"}


def test_none_and_several() -> None:
    assert derived(of(None)) == []
    assert derived(of([])) == []
    found = derived(of([Keyed("a", {"n": 1}), Keyed(("b", 2), Doc("x", []))]))
    assert [one.key for one in found] == [keys.encode(("a",)), keys.encode(("b", 2))]
    assert [one.key for one in derived(of(Keyed(5, {})))] == [keys.encode((5,))]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (7, "returned int, which is no record"),
        ("text", "returned str, which is no record"),
        ([{"a": 1}], "list of dict"),
        ([Keyed(1, {}), Keyed(1.0, {})], "two records of one key"),
        ((Keyed(1, {}),), "is no record"),
        (Keyed(None, {}), "null"),
        (Keyed([1], {}), "cannot be part of a key"),
        (Keyed(1, None), "is no record"),
        ({"a": object()}, "no target can hold"),
        ({"a": "\ud800"}, "no canonical form"),
        ({"a": 1j}, "no target can hold"),
        ({"a": dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))}, "no canonical form"),
    ],
)
def test_what_it_may_not_return(value: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as error:
        derived(of(value))
    assert error.value.remedy


def test_a_record_that_holds_itself() -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(DataError):
        derived(of(loop))


def test_a_mapping_that_raises_says_where() -> None:
    def helper(user: User) -> object:
        empty: dict[str, object] = {}
        return empty["missing"]

    def doc(user: User) -> dict[str, object]:
        return {"x": helper(user)}

    with pytest.raises(DataError, match=r"raised KeyError: 'missing' \(test_mapping\.py:\d+\)") as error:
        derived(doc)
    line = helper.__code__.co_firstlineno + 2
    assert f"test_mapping.py:{line})" in str(error.value)
    assert "lockstep retry m" in error.value.remedy


def test_a_key_of_its_own() -> None:
    def doc(user: User) -> dict[str, object]:
        return {}

    assert [one.key for one in derived(doc, key=User.email)] == [keys.encode(("A@x",))]
    assert [one.key for one in derived(doc, key=(User.email, User.id))] == [keys.encode(("A@x", 7))]
    assert not mapping(doc, key=User.email).key_is_root_key
    assert mapping(doc, key=User.id).key_is_root_key
    with pytest.raises(DataError, match="null"):
        mapping(doc, key=User.until).derive(User(1, "a", None), NOON)  # type: ignore[call-arg]


class Other(ls.Model, table="others"):
    id: int = ls.key()


@pytest.mark.parametrize("key", ["email", Other.id, lambda user: user.email, 7])
def test_a_key_that_is_no_field(key: Any) -> None:
    def doc(user: User) -> dict[str, object]:
        return {}

    with pytest.raises(DeclarationError, match="is no field of User") as error:
        mapping(doc, key=key)
    assert "key=User.email" in error.value.remedy


def test_a_result_that_may_name_its_keys_is_claimed() -> None:
    def keyed(user: User) -> list[Keyed]:
        return []

    def maybe(user: User) -> Keyed | None:
        return None

    def silent(user: User):  # type: ignore[no-untyped-def]
        return None

    def plain(user: User) -> Doc | None:
        return Keyed("x", {})  # type: ignore[return-value]

    assert not mapping(keyed).key_is_root_key
    assert not mapping(maybe).key_is_root_key
    assert not mapping(silent).key_is_root_key
    assert mapping(plain).key_is_root_key
    with pytest.raises(DataError, match="its annotation does not say so"):
        derived(plain)


# The clock


def reached(moment: Any, now: float = NOON, zone: str = "UTC") -> tuple[bool, float | None]:
    clock = Clock(now, zoneinfo.ZoneInfo(zone))
    return clock.reached(moment), clock.due


def test_a_date_begins_at_midnight_in_the_zone() -> None:
    date = dt.date(2026, 3, 8)
    midnight = dt.datetime(2026, 3, 8, tzinfo=dt.UTC).timestamp()
    assert reached(date) == (False, midnight)
    assert reached(date, midnight) == (True, None)
    assert reached(date, midnight - 0.001) == (False, midnight)
    assert reached(date, zone="Asia/Tokyo") == (False, midnight - 9 * 3600)
    assert reached(date, midnight, "America/New_York") == (False, midnight + 5 * 3600)


def test_a_moment() -> None:
    at = dt.datetime(2026, 3, 7, 13, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert reached(at) == (True, None)
    assert reached(at.replace(minute=1)) == (False, NOON + 60)
    local = dt.datetime(2026, 3, 7, 13)  # noqa: DTZ001 - in the mapping's zone
    assert reached(local, zone="Europe/Berlin") == (True, None)
    assert reached(local) == (False, NOON + 3600)


def test_the_next_date_at_which_it_would_differ_is_due() -> None:
    def doc(user: User, clock: Clock) -> dict[str, object]:
        return {"days": [clock.reached(dt.date(2026, 3, day)) for day in (9, 1, 8, 20)]}

    found, due = mapping(doc).derive(USER, NOON)
    assert found[0].record == {"days": [False, True, False, False]}
    assert due == dt.datetime(2026, 3, 8, tzinfo=dt.UTC).timestamp()
    (first, due), (second, later) = (mapping(doc).derive(USER, at) for at in (due, due))
    assert first == second
    assert later == dt.datetime(2026, 3, 9, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize("zone", ["Nowhere/City", "", "Europe", "../etc", "a\0b"])
def test_zones_that_are_none(zone: str) -> None:
    def doc(user: User) -> dict[str, object]:
        return {}

    with pytest.raises(DeclarationError, match="there is no time zone") as error:
        mapping(doc, zone=zone)
    assert "Europe/Berlin" in error.value.remedy


# Signatures


def test_signatures_that_mean_nothing() -> None:
    def none() -> dict[str, object]:
        return {}

    def untyped(user) -> dict[str, object]:  # type: ignore[no-untyped-def]
        return {}

    def wrong(user: dict[str, object]) -> dict[str, object]:
        return {}

    def extra(user: User, now: float) -> dict[str, object]:
        return {}

    def many(user: User, clock: Clock, other: Clock) -> dict[str, object]:
        return {}

    def lost(user: Nowhere) -> dict[str, object]:  # type: ignore[name-defined]  # noqa: F821
        return {}

    for function in (none, untyped, wrong):
        with pytest.raises(DeclarationError, match="first parameter is no shape"):
            mapping(function)
    for function in (extra, many):  # type: ignore[assignment]
        with pytest.raises(DeclarationError, match="parameters that nobody can give"):
            mapping(function)
    with pytest.raises(DeclarationError, match="Nowhere"):
        mapping(lost)


def test_a_version_says_that_code_changed() -> None:
    def doc(user: User) -> dict[str, object]:
        return {}

    assert mapping(doc).version == mapping(doc).version != "3"
    assert mapping(doc, version="3").version == "3"
