"""The probable cause of a divergence: the more certain one is named first."""

from __future__ import annotations

import pytest

from lockstep.agreement.cause import (
    ADOPTED,
    BEHIND,
    BOOKS,
    CHANGED,
    DOUBT,
    LEFT,
    LOST,
    NEVER,
    OTHERS,
    STRANGER,
    STUCK,
    UNDONE,
    WAITS,
    cause,
)
from lockstep.agreement.report import Divergence
from lockstep.forms import keys
from lockstep.state.rows import Owned, Row
from lockstep.values import Key

KEY = Key(b"k")
ROW, SENT, VOID = Row(KEY), Row(KEY, sent=1), Row(KEY, sent=1, void=True)
TAKEN_OVER = Row(KEY, targets=(Owned(keys.encode(("k",)), left=True), Owned(keys.encode(("other",)))))


@pytest.mark.parametrize(
    ("kind", "row", "stuck", "changed", "expected"),
    [
        ("missing", None, False, False, NEVER),
        ("missing", ROW, False, False, NEVER),
        ("missing", SENT, False, True, LOST),
        ("stale", SENT, False, False, BEHIND),
        ("different", SENT, False, False, OTHERS),
        ("different", SENT, False, True, CHANGED),
        ("different", TAKEN_OVER, False, True, ADOPTED),
        ("different", VOID, False, True, DOUBT),
        ("missing", VOID, False, False, DOUBT),
        ("missing", VOID, True, False, STUCK),
        ("failed", None, False, False, STUCK),
        ("extra", SENT, False, False, LEFT),
        ("ledger", SENT, False, False, BOOKS),
        ("unsettled", SENT, False, False, WAITS),
    ],
)
def test_cause(kind: str, row: Row | None, stuck: bool, changed: bool, expected: str) -> None:
    one = Divergence(kind, "k", "k", source=KEY)
    assert cause(one, row, stuck=stuck, mapping_changed=changed) == expected


def test_an_earlier_state_after_a_write_that_the_ledger_knows() -> None:
    one = Divergence("stale", "k", "k", source=KEY, sent=True)
    assert cause(one, SENT, stuck=False, mapping_changed=True) == UNDONE


def test_only_the_record_that_was_left_stood_here_before() -> None:
    one = Divergence("different", "k", "other", source=KEY)
    assert cause(one, TAKEN_OVER, stuck=False, mapping_changed=False) == OTHERS


def test_what_could_not_be_judged_is_nobodys_fault() -> None:
    one = Divergence("unsettled", None, "k")
    assert cause(one, None, stuck=False, mapping_changed=True) == WAITS


def test_what_has_no_source_key_is_a_strangers() -> None:
    one = Divergence("extra", None, "k")
    assert cause(one, None, stuck=False, mapping_changed=True) == STRANGER
