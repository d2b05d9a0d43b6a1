"""`check` tries every mapping on samples, twice, and with its lists turned round."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import lockstep as ls
from tests.support.world import PEOPLE, Person, World

count = itertools.count()


def sorting(user: Person) -> dict[str, object]:
    user.threads.sort(key=lambda thread: -thread.id)
    return {"id": user.id, "threads": [thread.title for thread in user.threads]}


def counting(user: Person) -> dict[str, object]:
    return {"id": user.id, "email": f"{next(count)}"}


def in_order(user: Person) -> dict[str, object]:
    return {"id": user.id, "threads": [thread.title for thread in user.threads]}


def deep_in_order(user: Person) -> dict[str, object]:
    threads = sorted(user.threads, key=lambda thread: thread.id)
    return {"id": user.id, "threads": [message.body for thread in threads for message in thread.messages]}


def sorted_by_itself(user: Person) -> dict[str, object]:
    return {"id": user.id, "threads": sorted(thread.title for thread in user.threads)}


def failing(user: Person) -> dict[str, object]:
    if user.id == 2:
        raise ValueError("no")
    return {"id": user.id}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (sorting, (True, "the mapping changes the records it is given")),
        (counting, (True, "the mapping is not pure: one record gave two results")),
        (in_order, (False, "the result depends on the order of a list of related records")),
        (deep_in_order, (False, "the result depends on the order of a list of related records")),
        (sorted_by_itself, None),
        (failing, (False, "1 of 2 samples fail; 2: the mapping raised ValueError: no")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_check_says_of_a_mapping(
    tmp_path: Path, function: Callable[[Person], dict[str, object]], said: tuple[bool, str] | None
) -> None:
    world = World(tmp_path, claims=False)
    world.do(
        "INSERT INTO users VALUES (1, NULL, NULL, 'a', 0), (2, NULL, NULL, 'b', 0)",
        "INSERT INTO conversations VALUES (1, 1, 'one'), (2, 1, 'two')",
        "INSERT INTO messages VALUES (1, 1, 'hi'), (2, 1, 'ho'), (3, 2, 'hi')",
    )
    pipeline = ls.Pipeline("pure", state=tmp_path / "state")
    to = ls.SQLite(world.out).table("people", columns=PEOPLE)
    pipeline.mapping(ls.SQLite(world.app), to=to, name="people", version="1")(function)
    found = [(one.blocks, one.problem) for one in ls.check(pipeline) if one.subject == "people"]
    assert [(blocks, problem.partition(" (")[0]) for blocks, problem in found] == ([said] if said else [])
