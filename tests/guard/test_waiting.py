"""Keys that wait for something, by nobody's fault: they open no breaker."""

from __future__ import annotations

import math

import pytest

from lockstep.engine.holds.breaker import Breaker, MostFail
from lockstep.limits import Guard
from lockstep.state.rows import Failure
from lockstep.values import Key


@pytest.mark.parametrize("again", [None, math.inf])
def test_keys_that_wait_are_no_failures(again: float | None) -> None:
    breaker = Breaker("accounts", Guard())
    keys = [Key(b"%d" % n) for n in range(200)]
    breaker.settled(
        [(key, "live") for key in keys], [Failure(key, "write", "", "", again=again) for key in keys]
    )
    if again is None:
        with pytest.raises(MostFail):
            breaker.judge(200)
    else:
        breaker.judge(200)
