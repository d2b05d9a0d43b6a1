"""`check` names the fields that would not hold what a mapping yields, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.values import Finding
from tests.support.world import World


class Customer(ls.Model, table="users"):
    id: int = ls.key()
    email: str = ls.personal("email")
    last_seen: int = ls.personal("birth")


class Known(ls.Model, table="users"):
    id: int = ls.key()
    email: str
    last_seen: int


def found(
    tmp_path: Path,
    model: type[ls.Model],
    columns: dict[str, str],
    also: Callable[[Any], bool] = lambda _: False,
) -> list[Finding]:
    world = World(tmp_path, claims=False)
    world.do(
        "INSERT INTO users VALUES (1, NULL, NULL, 'anna@example.com', 19790308),"
        " (2, NULL, NULL, '1.5', 9007199254740993), (3, NULL, NULL, '2.5', 0)"
    )
    pipeline = ls.Pipeline("lossy", state=tmp_path / "state")

    def people(user):  # type: ignore[no-untyped-def]
        email = Decimal(user.email) if "email_" in columns and "@" not in user.email else user.email
        record = {
            "id": user.id,
            ("email_" if "email_" in columns else "email"): email,
            "seen": user.last_seen,
        }
        return record | ({"only_some": None} if also(user) else {})

    people.__annotations__["user"] = model
    to = ls.SQLite(world.out).table("people", columns={"id": "INTEGER", **columns})
    pipeline.mapping(ls.SQLite(world.app), to=to, name="people", version="1")(people)
    said = [one for one in ls.check(pipeline) if one.subject == "people"]
    assert not world.out.exists(), "a check writes nothing"
    return said


def test_what_is_held_is_not_mentioned(tmp_path: Path) -> None:
    assert found(tmp_path, Known, {"email": "TEXT", "seen": "INTEGER"}) == []


def test_a_value_that_would_be_another_one_is_a_warning(tmp_path: Path) -> None:
    (one,) = found(tmp_path, Known, {"email": "TEXT", "seen": "REAL"})
    assert not one.blocks
    assert one.problem.startswith("seen of sqlite:")
    assert one.problem.endswith(
        " is REAL, which loses what 1 of 3 sampled records has there: "
        "9007199254740993 would be held as 9007199254740992"
    )


def test_some_that_are_refused_are_a_warning(tmp_path: Path) -> None:
    (one,) = found(tmp_path, Known, {"email_": "REAL", "seen": "INTEGER"})
    assert not one.blocks
    assert one.problem.endswith(
        'refuses what 1 of 3 sampled records has there: "anna@example.com": it is no number'
    )


def test_where_all_are_refused_it_blocks(tmp_path: Path) -> None:
    (one,) = found(tmp_path, Known, {"email": "REAL", "seen": "INTEGER"})
    assert one.blocks
    assert "refuses what 3 of 3 sampled records have there" in one.problem


@pytest.mark.parametrize("columns", [{"email": "DATE", "seen": "INTEGER"}, {"email": "TEXT", "seen": "REAL"}])
def test_what_is_personal_is_not_shown(tmp_path: Path, columns: dict[str, str]) -> None:
    (one,) = found(tmp_path, Customer, columns)
    assert "a personal" in one.problem
    assert "not shown" in one.problem
    assert "anna" not in one.problem
    assert "900719" not in one.problem


def test_a_name_that_is_no_column_is_named_with_the_columns_there_are(tmp_path: Path) -> None:
    (one,) = found(tmp_path, Customer, {"seen": "INTEGER"})
    assert one.blocks
    assert one.problem.endswith(
        " has no field email, which 3 of 3 sampled records have: its columns are id, seen"
    )
    assert one.mend.startswith("Add email there, or leave it out of the mapping.")


def test_a_name_that_some_records_have_is_a_warning(tmp_path: Path) -> None:
    (one,) = found(tmp_path, Known, {"email_": "TEXT", "seen": "INTEGER"}, also=lambda user: user.id == 2)
    assert not one.blocks
    assert " has no field only_some, which 1 of 3 sampled records has: its columns are" in one.problem
