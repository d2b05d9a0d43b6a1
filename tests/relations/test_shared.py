"""A row that very many roots share: its change runs behind fresh ones, in pieces, and reaches every root."""

from __future__ import annotations

from pathlib import Path

import pytest

import lockstep.declaration.model as ls
from lockstep.engine.hints import unfold
from lockstep.forms import keys
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget

SHARING = 3_000
FRESH = range(10_000, 10_020)


class Company(ls.Model, table="companies"):
    id: int = ls.key()
    name: str


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    email: str


class Person(User):
    company: Company | None


def document(user: Person) -> dict[str, object]:
    return {"email": user.email, "company": user.company and user.company.name}


@pytest.mark.parametrize("levels", [1, 2])
def test_it_delays_no_fresh_change_by_more_than_a_few_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    """Twice in a row, too: the second change of it does not wait behind the first, nor undo it."""
    monkeypatch.setattr(unfold, "SPAN", 200)
    companies = [{"id": 1, "name": "old"}, {"id": 2, "name": "other"}]
    users = [{"id": id, "company_id": 1, "email": "e"} for id in range(SHARING)]
    users += [{"id": id, "company_id": 2, "email": "e"} for id in FRESH]
    source = MemorySource(companies=companies, users=users)
    one = Works(tmp_path, document, source, MemoryTarget(), limit=50)
    one.ask()
    one.work(1000)

    for level in range(levels):
        before = "old" if level == 0 else f"new{level - 1}"
        one.change("companies", {"id": 1, "name": before}, {"id": 1, "name": f"new{level}"})
        one.loop.step()
    delays = []
    for id in FRESH:
        old = {"id": id, "company_id": 2, "email": "e"}
        one.change("users", old, {**old, "email": "fresh"})
        delays.append(_batches_until(one, id))
    unfinished = sum(record["company"] != f"new{levels - 1}" for record in one.held().values()) - len(FRESH)
    assert unfinished > SHARING // 2, "the shared row's change is still on its way"
    assert max(delays) <= 3, delays
    largest = max(counts.keys for counts in one.work(1000))
    assert largest <= 50
    assert {record["company"] for record in one.held().values()} == {f"new{levels - 1}", "other"}


def _batches_until(one: Works, id: int) -> int:
    for batches in range(1, 10):
        one.loop.step()
        if one.held()[keys.encode((id,))]["email"] == "fresh":
            return batches
    return 10
