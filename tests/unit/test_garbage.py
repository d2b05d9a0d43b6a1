"""Python looks for garbage seldom while anybody asks for that, and as before once nobody does."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from lockstep.engine.garbage import collecting_seldom


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize("own", [(0, 10, 10), (1_000_000, 5, 5)], ids=["never", "more seldom"])
def test_who_embeds_it_and_looks_more_seldom_still_does(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with collecting_seldom():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


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
