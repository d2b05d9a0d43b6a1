"""One owner for each field, and what is done about an edit by somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from lockstep.errors import DeclarationError
from lockstep.systems.zuora.owners import Drifted, Owned, Owners

OWNERS = Owners(
    {
        "name": Owned("app"),
        "currency": Owned("app", "hold"),
        "batch": Owned("app", "accept"),
        "balance": Owned("zuora"),
    }
)
SENT = {"name": "Ada", "currency": "USD", "batch": "Batch1"}


def test_a_policy_that_could_never_apply_is_refused() -> None:
    with pytest.raises(DeclarationError):
        Owners({"balance": Owned("zuora", "accept")})


@pytest.mark.parametrize(
    ("changes", "write", "held"),
    [
        ({}, {}, False),
        ({"name": "Eve"}, {"name": "Ada"}, False),
        ({"batch": "Batch2"}, {}, False),
        ({"currency": "EUR", "name": "Eve"}, {}, True),
        ({"name": "Eve", "batch": "Batch2"}, {"name": "Ada"}, False),
    ],
)
def test_an_edit_is_reported_and_treated_as_its_policy_says(
    changes: dict[str, Any], write: dict[str, Any], held: bool
) -> None:
    judged = OWNERS.judged(sent=SENT, found={**SENT, "balance": 5, **changes}, wanted=SENT)
    assert (judged.write, judged.held) == (write, held)
    assert {one.field: one.found for one in judged.drifted} == changes


def test_the_apps_own_change_is_no_drift_and_both_sides_alike_is_none() -> None:
    wanted = {**SENT, "currency": "EUR"}
    assert OWNERS.judged(sent=SENT, found=SENT, wanted=wanted) == ({"currency": "EUR"}, [], False)
    assert OWNERS.judged(sent=SENT, found=wanted, wanted=wanted) == ({}, [], False)
    assert OWNERS.judged(sent=None, found=SENT, wanted=wanted) == ({"currency": "EUR"}, [], False)
    both = OWNERS.judged(sent=SENT, found={**SENT, "name": "Eve"}, wanted={**SENT, "name": "Bee"})
    assert both == ({"name": "Bee"}, [Drifted("name", "Ada", "Eve", "Bee", "overwrite")], False)


def test_what_zuora_owns_is_never_written() -> None:
    assert OWNERS.judged(sent=None, found={"balance": 5}, wanted={"balance": 0, "x": 1}) == ({}, [], False)
