"""Python looks for garbage seldom while anybody asks for that, and as before once nobody does."""

from __future__ import annotations

import gc

from lockstep.engine.garbage import collecting_seldom


def test_it_is_as_before_once_the_last_has_left() -> None:
    before = gc.get_threshold()
    one, other = collecting_seldom(), collecting_seldom()
    with one:
        seldom = gc.get_threshold()
        other.__enter__()
    assert seldom[0] > before[0]
    assert gc.get_threshold() == seldom, "another is in it still"
    other.__exit__(None, None, None)
    assert gc.get_threshold() == before
