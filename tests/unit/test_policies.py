"""The guard's policies: numbers in, go or a sentence out."""

from __future__ import annotations

import pytest

import lockstep as ls
from lockstep.guard.policies import EmptySource, MassUpdate, Own, Removals
from lockstep.limits import Guard, Numbers

GUARD = Guard()


def of(**numbers: int | None) -> Numbers:
    return Numbers(**numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("numbers", "goes"),
    [
        (of(removes=0, known=1000, source=0), True),  # nothing is removed
        (of(removes=1000, known=1000, source=None), True),  # nobody could count: another policy's matter
        (of(removes=30, known=60, source=0), False),
        (of(removes=30, known=60, source=1), True),  # small, and not empty
        (of(removes=30, known=19, source=0), True),  # of next to nothing
        (of(removes=30, known=1000, source=500), True),
        (of(removes=30, known=1000, source=499), False),
        (of(removes=1, known=1_000_000, source=0), False),
    ],
)
def test_a_source_that_reads_empty_deletes_nothing(numbers: Numbers, goes: bool) -> None:
    verdict = EmptySource().judge(numbers, GUARD)
    assert verdict.go is goes
    if not goes:
        assert verdict.kinds == ("remove",)
        assert verdict.expected == numbers.waiting > 0
        assert f"{numbers.known:,} were known" in verdict.reason


@pytest.mark.parametrize(
    ("numbers", "goes"),
    [
        (of(removes=100, known=100), True),
        (of(removes=101, known=101), False),
        (of(removes=1, window_removes=100, known=500), False),  # many small ones
        (of(removes=1, window_removes=100, known=1_000), True),
        (of(removes=101, known=1_010), True),
        (of(removes=5_000, known=1_000_000, source=1_000_000), True),
        (of(removes=5_000, known=1_000_000, source=850_000), False),  # a first batch of many
        (of(removes=1, window_removes=100_000, known=100_000_000), False),
        (of(updates=1_000_000, known=1_000_000, source=0), True),
        (of(removes=200, known=1_000, usual_removes=100), True),  # such a day
        (of(removes=201, known=1_000, usual_removes=100), False),
        (of(removes=600, known=1_000, usual_removes=10_000), False),  # most of it, whatever is usual
        (of(removes=400_000, known=1_000_000, usual_removes=400_000), False),
    ],
)
def test_removals_are_held_beyond_a_number_and_a_share(numbers: Numbers, goes: bool) -> None:
    verdict = Removals().judge(numbers, GUARD)
    assert verdict.go is goes
    if not goes:
        assert verdict.kinds == ("remove",)
        assert verdict.expected >= numbers.removes


@pytest.mark.parametrize(
    ("numbers", "goes"),
    [
        (of(updates=20_000, known=20_000, usual=None), True),  # nothing is usual yet
        (of(updates=20_000, known=20_000, usual=5_001), True),
        (of(updates=20_000, known=20_000, usual=4_999), False),
        (of(updates=1, window_updates=20_000, known=20_000, usual=0), False),
        (of(updates=20_000, known=40_000, usual=0), True),  # half of them
        (of(updates=10_000, known=10_000, usual=0), True),
        (of(updates=0, window_updates=20_000, known=20_000, usual=0), True),
    ],
)
def test_most_of_it_changed_and_far_more_than_usual(numbers: Numbers, goes: bool) -> None:
    assert MassUpdate().judge(numbers, GUARD).go is goes


def test_a_policy_of_ones_own() -> None:
    def never_on_sundays(numbers: Numbers) -> str | None:
        return "it is Sunday" if numbers.removes else None

    policy = Own(never_on_sundays)
    assert policy.name == "never_on_sundays"
    assert policy.judge(of(updates=3), GUARD).go
    assert policy.judge(of(removes=3), GUARD).reason == "it is Sunday"


@pytest.mark.parametrize(
    "wrong", [{"share": 10}, {"window": 5.0}, {"beyond": 0.5}, {"free": 10, "most": 5}, {"free": -1}]
)
def test_a_limit_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ls.DeclarationError, match=r"ls\.Guard"):
        Guard(**wrong)  # type: ignore[arg-type]
